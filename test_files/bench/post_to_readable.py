"""How long it takes from a POST to its predictions, next to what it must take at least.

In one run, on the same machine and the same broker:

  no-op      round trip of a Celery task that does nothing
  readable   from POST submissionfold/ until the API hands out the predictions of an iris fold
  in process training and predicting the same fold in this process

The last two with a forest of 50 trees and with a logistic regression.

    python test_files/bench/post_to_readable.py [--n 100] [--json FILE]
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

if __package__ in (None, ""):  # run as a script: `test_files` must be found all the same
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np
from tqdm import tqdm

from runapp.environment import BASE_DIR
from test_files import post_api
from test_files.examples import BENCH_EXAMPLES, Example
from test_files.local_training import train_in_process
from test_files.processes import Process, ProcessFailed
from test_files.services import Services
from test_files.stack import Stack

_N_WARM_UP = 3
#: How often the API is asked, at most, whether a fold is done: finer than what is measured.
_POLL_SECONDS = 0.01
_FOLD_SECONDS = 120.0


class FoldsOverHttp:
    """Posts folds of an example's submission, each waited for."""

    def __init__(self, stack: Stack, example: Example) -> None:
        self._account = (stack.url, stack.username, stack.password)
        client = stack.client()
        data = client.post_data(
            f"bench_{example.name}", example.target_column, example.workflow_elements, example.files
        )
        self._indices = (np.arange(90), np.arange(90, 120))
        first = client.post_submission(data["id"], example.submission_folder, folds=[self._indices])
        client.wait(first, progress=False)
        self._submission_id, self._last_fold_id = first.id, first.fold_ids[-1]

    def post_and_read(self) -> None:
        """POST a fold and ask for its predictions until they are there."""
        self._last_fold_id += 1
        posted = post_api.post_submission_fold(
            *self._account, self._submission_id, self._last_fold_id, *self._indices
        )
        posted.raise_for_status()
        deadline = time.perf_counter() + _FOLD_SECONDS
        while True:
            asked = post_api.get_prediction_list(*self._account, [self._last_fold_id])
            asked.raise_for_status()
            [fold] = asked.json()
            if fold["state"] == "TESTED":
                return
            if fold["state"] == "ERROR" or time.perf_counter() > deadline:
                raise ProcessFailed(f"a fold is {fold['state']}: {fold['log_messages']}")
            time.sleep(_POLL_SECONDS)


@contextmanager
def noop_round_trip(stack: Stack) -> Iterator[Callable[[], object]]:
    """A worker for no-ops beside datarun's, and the function that sends one and waits for it."""
    worker = Process(
        "noop",
        [sys.executable, "-m", "celery", "-A", "test_files.bench.noop_worker", "worker", "--concurrency", "1",
         "--queues", "bench_noop", "--hostname", "noop@%h", "--loglevel", "info"],
        folder=stack.folder,
        environment=stack.environment,
        working_folder=BASE_DIR,
        says=" ready.",
    )  # fmt: skip
    worker.start()
    try:
        worker.wait_until_ready()
        os.environ.update(stack.environment)
        from test_files.bench.noop_worker import noop

        yield lambda: noop.delay().get(timeout=60, interval=0.001)
    finally:
        worker.stop()


def milliseconds(name: str, action: Callable[[], object], n: int) -> dict[str, object]:
    """Median and 95th percentile of ``n`` calls, in milliseconds of wall clock."""
    for _ in range(_N_WARM_UP):
        action()
    taken = []
    for _ in tqdm(range(n), desc=name, unit="call"):
        start = time.perf_counter()
        action()
        taken.append(1000 * (time.perf_counter() - start))
    median, p95 = np.percentile(taken, [50, 95])
    return {"what": name, "n": n, "median_ms": round(float(median), 2), "p95_ms": round(float(p95), 2)}


def measure(n: int) -> list[dict[str, object]]:
    rows = []
    with Services() as services, Stack(services) as stack:
        with noop_round_trip(stack) as send_noop:
            rows.append(milliseconds("Celery no-op round trip", send_noop, n))
        for example in BENCH_EXAMPLES:
            folds = FoldsOverHttp(stack, example)
            rows.append(milliseconds(f"{example.name}: POST to readable", folds.post_and_read, n))
    for example in BENCH_EXAMPLES:
        training = train_in_process(example)
        rows.append(
            milliseconds(f"{example.name}: in process", lambda: training.predictions(np.arange(90)), n)  # noqa: B023
        )
    noop_ms = float(str(rows[0]["median_ms"]))
    for row in rows:
        row["times_noop"] = round(float(str(row["median_ms"])) / noop_ms, 1)
    return rows


def print_table(rows: list[dict[str, object]]) -> None:
    print(f"\n{'':30}   median ms      p95 ms  no-ops     n")
    for row in rows:
        times = f"{row['median_ms']:10.2f}  {row['p95_ms']:10.2f}  {row['times_noop']:6}"
        print(f"{row['what']:30}  {times}  {row['n']:4}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=100, help="measurements of each (100)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON there, not to the output")
    arguments = parser.parse_args()
    if arguments.n < 1:
        parser.error("--n must be at least 1")
    rows = measure(arguments.n)
    print_table(rows)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    text = json.dumps({"benchmark": "post_to_readable", **machine, "rows": rows}, indent=2)
    if arguments.json:
        arguments.json.write_text(f"{text}\n")
    else:
        print(f"\n{text}")


if __name__ == "__main__":
    try:
        main()
    except ProcessFailed as error:
        sys.exit(f"post_to_readable: {error}")
