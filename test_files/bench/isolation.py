"""What isolation costs, next to the same training without it.

In one run, on the same machine:

  overhead   an isolated fold, the same training in this process, and the same in a fresh Python, in turns
  parallel   isolated folds per second with 1, 2, 4 and 8 at a time
  large data from the start of a fold until it is trained, first and second fold of a data set of 1 GB
  memory     private memory of a fold that only predicts on that data set

    python test_files/bench/isolation.py [--n 40] [--large-mb 1000] [--json FILE]
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# As a fold has it: training here must not have more threads than there.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
if __package__ in (None, ""):  # run as a script: `test_files` must be found all the same
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from runapp.contract import Outcome
from runapp.runner.isolation import canary
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.prepared import PreparedDataSets
from runapp.runner.job import FoldJob, FoldReport, Launcher, Limits
from runapp.runner.process import FreshProcess
from test_files.examples import HELD_OUT_TEST, RANDOM_STATE, STANDARD_EXAMPLES
from test_files.local_training import train_in_process

_EXAMPLE = STANDARD_EXAMPLES[0]
_TRAIN_ROWS = np.arange(90)
_LIMITS = Limits(wall_seconds=600, memory_kb=4 << 20)
_N_WARM_UP = 3
_LARGE_COLUMNS = 20
_PARALLEL = (1, 2, 4, 8)

#: Learns nothing, so that what is measured is the way to it; predicts by looking at every number once.
_PREDICTOR = """
class Classifier:
    def fit(self, X, y):
        pass

    def predict_proba(self, X):
        return X[:, :2]
"""

Row = dict[str, object]


@contextlib.contextmanager
def isolated(folder: Path) -> Iterator[IsolatedProcess]:
    """A launcher whose fold server is warm."""
    server = FoldServer(folder / "server", idle_seconds=600)
    try:
        launcher = IsolatedProcess(
            server, PreparedDataSets(folder / "prepared", max_bytes=1 << 40), isolation=""
        )
        launcher.isolation = canary.measure(launcher).level
        yield launcher
    finally:
        server.close()


def iris_job(folder: Path) -> FoldJob:
    frame = pd.read_csv(_EXAMPLE.data_file)
    train, test = train_test_split(frame, test_size=HELD_OUT_TEST, random_state=RANDOM_STATE)
    return write_job(folder, train, test, _EXAMPLE.target_column, _EXAMPLE.submission_folder, _TRAIN_ROWS)


def write_job(
    folder: Path, train: pd.DataFrame, test: pd.DataFrame, target: str, submission: Path, rows: np.ndarray
) -> FoldJob:
    folder.mkdir()
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    return FoldJob(
        data_folder=folder, submission_folder=submission, custom=False, workflow_elements=("classifier",),
        target_column=target, n_train_rows=len(train), n_test_rows=len(test), train_is=rows,
    )  # fmt: skip


def run(launcher: Launcher, job: FoldJob) -> FoldReport:
    report = launcher.run_fold(job, _LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)
    if report.outcome is not Outcome.OK:
        raise SystemExit(f"a fold ended as {report.outcome}: {report.log_messages}")
    return report


def overhead(launcher: Launcher, job: FoldJob, n: int) -> list[Row]:
    """The three ways in turns, so that whatever else the machine does burdens all of them."""
    training = train_in_process(_EXAMPLE)
    ways: dict[str, Callable[[], object]] = {
        "in this process": lambda: training.predictions(_TRAIN_ROWS),
        "isolated fold": lambda: run(launcher, job),
        "fresh Python, no isolation": lambda: run(FreshProcess(), job),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in tqdm(range(n + _N_WARM_UP), desc="overhead", unit="round"):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number >= _N_WARM_UP:
                taken[name].append(1000 * (time.perf_counter() - start))
    rows = []
    for name, values in taken.items():
        median, p95 = np.percentile(values, [50, 95])
        rows.append({"what": name, "median_ms": round(float(median), 1), "p95_ms": round(float(p95), 1)})
    medians = {name: float(np.median(values)) for name, values in taken.items()}
    rows.append({
        "what": "overhead of isolation",
        "median_ms": round(medians["isolated fold"] - medians["in this process"], 1),
    })  # fmt: skip
    rows.append({
        "what": "times faster than a fresh Python",
        "ratio": round(medians["fresh Python, no isolation"] / medians["isolated fold"], 1),
    })  # fmt: skip
    return rows


def folds_per_second(launcher: Launcher, job: FoldJob, n: int) -> list[Row]:
    rows: list[Row] = []
    for at_a_time in _PARALLEL:
        with ThreadPoolExecutor(at_a_time) as pool:
            start = time.perf_counter()
            for _ in tqdm(
                pool.map(lambda _: run(launcher, job), range(n)), total=n, desc=f"{at_a_time} at a time"
            ):
                pass
            seconds = time.perf_counter() - start
        rows.append({"what": f"{at_a_time} at a time", "folds_per_second": round(n / seconds, 1)})
    return rows


def large_data(launcher: Launcher, folder: Path, large_mb: int) -> list[Row]:
    n_rows = large_mb * 1_000_000 // (8 * _LARGE_COLUMNS)
    submission = folder / "predictor"
    submission.mkdir()
    (submission / "classifier.py").write_text(_PREDICTOR)
    # Whole numbers: what is measured is not how long their text takes to read.
    numbers = np.random.default_rng(0).integers(0, 9, (n_rows, _LARGE_COLUMNS))
    frame = pd.DataFrame(numbers, columns=[f"x{number}" for number in range(_LARGE_COLUMNS)])
    frame["y"] = np.arange(n_rows) % 2
    test = n_rows // 5
    job = write_job(folder / "large", frame[test:], frame[:test], "y", submission, np.arange(100))
    rows: list[Row] = []
    for name in ("first fold", "second fold", "third fold"):
        start = time.time()
        report = run(launcher, job)
        assert report.trained_at is not None
        rows.append({"what": f"{name}, until trained", "ms": round(1000 * (report.trained_at - start), 1)})
    memory_mb = max(report.measures.train_memory, report.measures.test_memory) / 1024
    rows.append({"what": f"memory of a fold that predicts on {large_mb} MB", "mb": round(memory_mb, 1)})
    return rows


def measure(n: int, large_mb: int) -> dict[str, list[Row]]:
    with tempfile.TemporaryDirectory(prefix="datarun-bench-") as name:
        folder = Path(name)
        with isolated(folder) as launcher:
            print(f"isolation: {launcher.isolation}", file=sys.stderr)
            job = iris_job(folder / "iris")
            return {
                "overhead": overhead(launcher, job, n),
                "parallel": folds_per_second(launcher, job, 4 * n),
                "large data": large_data(launcher, folder, large_mb),
            }


def print_tables(tables: dict[str, list[Row]]) -> None:
    for title, rows in tables.items():
        print(f"\n{title}")
        for row in rows:
            numbers = "   ".join(f"{key} {value:>8}" for key, value in row.items() if key != "what")
            print(f"  {row['what']:45} {numbers}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--n", type=int, default=40, help="rounds of the overhead; 4 times as many folds in parallel"
    )
    parser.add_argument(
        "--large-mb", type=int, default=1000, help="size of the large data set in memory (1000)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON there, not to the output")
    arguments = parser.parse_args()
    if arguments.n < 1 or arguments.large_mb < 1:
        parser.error("--n and --large-mb must be at least 1")
    tables = measure(arguments.n, arguments.large_mb)
    print_tables(tables)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    text = json.dumps({"benchmark": "isolation", **machine, "tables": tables}, indent=2)
    if arguments.json:
        arguments.json.write_text(f"{text}\n")
    else:
        print(f"\n{text}")


if __name__ == "__main__":
    main()
