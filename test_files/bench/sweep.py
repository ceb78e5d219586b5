"""What it costs the master to look for results and for what was lost, with few and with many folds.

On private PostgreSQL and RabbitMQ, with the same number of new outcomes each time:

  save      writing the outcomes of finished folds to the database
  recover   the periodic look: marks of running folds, queues, what is to be sent

    python test_files/bench/sweep.py [--folds 100 100000] [--outcomes 20] [--rounds 20] [--json FILE]
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: `test_files` must be found all the same
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np

from test_files.processes import ProcessFailed
from test_files.services import Services

_BATCH = 2000
_N_RUNNING = 8


def set_up_django(services: Services) -> None:
    os.environ.update(services.environment | {"DJANGO_SETTINGS_MODULE": "datarun.settings"})
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


class Bench:
    """A data set, a submission, and as many finished folds as asked for."""

    def __init__(self, n_outcomes: int) -> None:
        from runapp.contract import SplitState
        from runapp.encodings import encode_indices, encode_predictions
        from runapp.models import RawData, Submission

        self._n_outcomes = n_outcomes
        self._next_id = 1
        self._predictions = encode_predictions(np.full((120, 3), 0.25))
        self._indices = encode_indices(np.arange(90))
        raw_data = RawData.objects.create(
            name="bench", files_path="bench", split_state=SplitState.DONE, n_train_rows=120, n_test_rows=120
        )
        self._submission = Submission.objects.create(databoard_s_id=1, raw_data=raw_data, files_path="1/x")

    def _rows(self, n_folds: int, **fields: Any) -> list[Any]:
        from django.utils import timezone

        from runapp.models import SubmissionFold

        rows = [
            SubmissionFold(
                databoard_sf_id=self._next_id + number, databoard_s=self._submission,
                task_id=str(uuid.uuid4()), train_is=self._indices, test_is=self._indices,
                sent_at=timezone.now(), times_sent=1, **fields,
            )
            for number in range(n_folds)
        ]  # fmt: skip
        self._next_id += n_folds
        return SubmissionFold.objects.bulk_create(rows)

    def grow(self, n_folds: int) -> None:
        """Have so many finished folds."""
        from django.db import connection

        from runapp.models import SubmissionFold

        missing = n_folds - SubmissionFold.objects.count()
        for start in range(0, missing, _BATCH):
            self._rows(
                min(_BATCH, missing - start), state="TESTED", outcome="ok", attempts=1,
                full_train_predictions=self._predictions, test_predictions=self._predictions,
            )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE runapp_submissionfold")

    def save(self) -> float:
        """Milliseconds to save the outcomes of further folds."""
        from runapp import dispatch
        from runapp.contract import Outcome
        from runapp.messages import FoldOutcome
        from runapp.services.results import save_outcomes

        for fold in self._rows(self._n_outcomes):
            outcome = FoldOutcome(
                fold_id=fold.pk, task_id=fold.task_id, attempt=1, outcome=Outcome.OK, log_messages="",
                runner="runner@host", isolation="full", started_at=time.time(),
                full_train_predictions=self._predictions, full_train_predictions_shape=(120, 3),
                test_predictions=self._predictions, test_predictions_shape=(120, 3),
            )  # fmt: skip
            dispatch.exchange().write_outcome(outcome)
        return _milliseconds(save_outcomes)

    def recover(self) -> float:
        """Milliseconds of the periodic look while a few folds run."""
        from runapp import dispatch
        from runapp.contract import State
        from runapp.messages import FoldMark
        from runapp.services.recovery import recover

        running = self._rows(_N_RUNNING)
        for fold in running:
            mark = FoldMark(
                fold_id=fold.pk, task_id=fold.task_id, attempt=1, runner="runner@host", holder="bench",
                state=State.TODO, started_at=time.time(),
            )  # fmt: skip
            dispatch.exchange().write_mark(mark)
        milliseconds = _milliseconds(recover)
        for fold in running:
            dispatch.exchange().remove_mark(fold.task_id)
            fold.delete()
        return milliseconds


def _milliseconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def measure(folds: list[int], n_outcomes: int, rounds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with Services() as services:
        set_up_django(services)
        bench = Bench(n_outcomes)
        for n_folds in sorted(folds):
            bench.grow(n_folds)
            for name, action in (("save", bench.save), ("recover", bench.recover)):
                action()
                taken = [action() for _ in range(rounds)]
                rows.append({"what": name, "folds": n_folds, "median_ms": round(statistics.median(taken), 2)})
                print(f"{name:8} {n_folds:8} folds  {rows[-1]['median_ms']:8} ms", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folds", type=int, nargs="+", default=[100, 100_000], help="folds in the database")
    parser.add_argument("--outcomes", type=int, default=20, help="outcomes saved at a time (20)")
    parser.add_argument("--rounds", type=int, default=20, help="measurements of each (20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON there, not to the output")
    arguments = parser.parse_args()
    rows = measure(arguments.folds, arguments.outcomes, arguments.rounds)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    text = json.dumps(
        {"benchmark": "sweep", **machine, "outcomes": arguments.outcomes, "rows": rows}, indent=2
    )
    if arguments.json:
        arguments.json.write_text(f"{text}\n")
    else:
        print(f"\n{text}")


if __name__ == "__main__":
    try:
        main()
    except ProcessFailed as error:
        sys.exit(f"sweep: {error}")
