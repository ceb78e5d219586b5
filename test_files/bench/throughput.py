"""How many folds a second datarun trains when many are posted at once, with everything on this machine.

Posts iris folds to gunicorn from several connections, and waits until the predictions of the last are
readable: web server, PostgreSQL, RabbitMQ, Redis, runner, master worker and beat share the processors.

The folds train a forest of 50 trees, or a logistic regression.

    python test_files/bench/throughput.py [--example iris_linear] [--folds 1000] [--workers 2] [--json FILE]
"""

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: `test_files` must be found all the same
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np
import psutil

from runapp.contract import RUNNER_QUEUES
from test_files import post_api
from test_files.examples import BENCH_EXAMPLES, Example
from test_files.processes import Process, ProcessFailed
from test_files.services import Services
from test_files.stack import Stack

_EXAMPLES = {example.name: example for example in BENCH_EXAMPLES}
_POSTERS = 4
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 1800.0


def measure(example: Example, n_folds: int, n_workers: int) -> dict[str, Any]:
    with Services() as services, Stack(services, runners=(RUNNER_QUEUES,) * n_workers) as stack:
        account = (stack.url, stack.username, stack.password)
        client = stack.client()
        data = client.post_data("iris_bench", example.target_column, example.workflow_elements, example.files)
        indices = (np.arange(90), np.arange(90, 120))
        first = client.post_submission(data["id"], example.submission_folder, folds=[indices] * 2 * n_workers)
        client.wait(first, progress=False)  # every runner is warm
        fold_ids = range(first.fold_ids[-1] + 1, first.fold_ids[-1] + 1 + n_folds)

        def post(fold_id: int) -> None:
            post_api.post_submission_fold(*account, first.id, fold_id, *indices).raise_for_status()

        processes = [*stack.processes, *services.processes]
        before = {process.name: _cpu_seconds(process) for process in processes}
        start = time.perf_counter()
        with ThreadPoolExecutor(_POSTERS) as pool:
            list(pool.map(post, fold_ids))
        posted = time.perf_counter() - start
        _wait_for_predictions(account, fold_ids[-1] - n_folds + 1, n_folds)
        seconds = time.perf_counter() - start
        cpu_ms = {
            process.name: round(1000 * (_cpu_seconds(process) - before[process.name]) / n_folds, 1)
            for process in processes
        }
    return {
        "example": example.name, "folds": n_folds, "workers": n_workers,
        "posted_s": round(posted, 2), "readable_s": round(seconds, 2),
        "posts_per_s": round(n_folds / posted, 1), "folds_per_s": round(n_folds / seconds, 1),
        "cpu_ms_per_fold": cpu_ms,
    }  # fmt: skip


def _cpu_seconds(process: Process) -> float:
    """CPU seconds that a process and all it started have used so far."""
    seconds = 0.0
    root = psutil.Process(process.pid)
    for member in (root, *root.children(recursive=True)):
        try:
            seconds += sum(member.cpu_times()[:4])  # its own and those of its children that ended
        except psutil.NoSuchProcess:
            continue  # counted with its parent from now on
    return seconds


def _wait_for_predictions(account: tuple[str, str, str], first_id: int, n_folds: int) -> None:
    """Take new predictions until all folds were handed out."""
    handed_out: set[int] = set()
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while len(handed_out) < n_folds:
        answer = post_api.get_prediction_new(*account)
        answer.raise_for_status()
        new = [fold["databoard_sf_id"] for fold in answer.json() if fold["databoard_sf_id"] >= first_id]
        if handed_out & set(new):
            raise ProcessFailed("a fold was handed out twice")
        handed_out.update(new)
        if time.perf_counter() > deadline:
            raise ProcessFailed(f"{n_folds - len(handed_out)} folds have no predictions")
        time.sleep(_POLL_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--example", choices=_EXAMPLES, default="iris_linear", help="what is trained (iris_linear)"
    )
    parser.add_argument("--folds", type=int, default=1000, help="folds to post (1000)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runners, one fold each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON there, not to the output")
    arguments = parser.parse_args()
    row = measure(_EXAMPLES[arguments.example], arguments.folds, arguments.workers)
    print(
        f"{row['folds']} folds of {row['example']}: posted in {row['posted_s']} s ({row['posts_per_s']}/s), "
        f"readable after {row['readable_s']} s: {row['folds_per_s']} folds/s"
    )
    print("CPU ms a fold:", ", ".join(f"{name} {ms}" for name, ms in row["cpu_ms_per_fold"].items()))
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    text = json.dumps({"benchmark": "throughput", **machine, **row}, indent=2)
    if arguments.json:
        arguments.json.write_text(f"{text}\n")
    else:
        print(f"\n{text}")


if __name__ == "__main__":
    try:
        main()
    except ProcessFailed as error:
        sys.exit(f"throughput: {error}")
