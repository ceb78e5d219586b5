"""A runner: takes a task's message through to its outcome on the shared disk. Knows no broker."""

import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from runapp.contract import State, TaskName
from runapp.errors import InvalidMessage
from runapp.exchange import Exchange
from runapp.messages import FoldMark, FoldOutcome, FoldTask, SplitMark, SplitOutcome, SplitTask
from runapp.runner.fold_run import FoldRun
from runapp.runner.holder import this_process
from runapp.runner.job import Launcher, Limits
from runapp.runner.lease import Lease, end_if_gone
from runapp.runner.split_run import run_split

#: How long an outcome is kept in hand while the shared disk does not take it, and how often it is tried.
WRITE_PATIENCE_SECONDS = 900.0
_WRITE_PAUSE_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runner:
    """Where a runner finds its folders, and what runs its folds.

    Every method raises ``OSError`` if the shared disk cannot be written, and ``InvalidMessage`` for
    a task that leads out of its folders; nothing else.
    """

    #: Node name of the Celery worker.
    name: str
    exchange: Exchange
    dir_data: Path
    dir_submission: Path
    launcher: Launcher
    #: After how long without a heartbeat the master takes a task's runner for lost.
    lease_seconds: float
    #: Asks the master for a task of its own; without an answer, and without raising.
    ring: Callable[[TaskName], None]

    def run_fold(self, task: FoldTask, limits: Limits) -> FoldOutcome | None:
        """Run a fold and put its outcome on the shared disk; None where there is nothing (more) to do."""
        mark = FoldMark(**self._mark(task), fold_id=task.fold_id, state=State.TODO)
        lease = Lease(self.exchange, mark, lease_seconds=self.lease_seconds)
        if not self._may_start(lease):
            return None
        with lease:
            run = FoldRun(
                task,
                limits,
                lease=lease,
                exchange=self.exchange,
                launcher=self.launcher,
                data_folder=_inside(self.dir_data, task.data_folder),
                submission_folder=_inside(self.dir_submission, task.submission_folder),
            )
            outcome = run.outcome()
            return outcome if self._deliver(outcome, lease) else None

    def run_split(self, task: SplitTask, limits: Limits) -> SplitOutcome | None:
        """Split a data set and put the outcome on the shared disk; None as for ``run_fold``."""
        mark = SplitMark(**self._mark(task), raw_data_id=task.raw_data_id)
        lease = Lease(self.exchange, mark, lease_seconds=self.lease_seconds)
        if not self._may_start(lease):
            return None
        with lease:
            outcome = run_split(
                task,
                limits,
                lease=lease,
                launcher=self.launcher,
                source_folder=_inside(self.dir_data, task.source_folder),
                split_folder=_inside(self.dir_data, task.split_folder),
            )
            return outcome if self._deliver(outcome, lease) else None

    def _mark(self, task: FoldTask | SplitTask) -> dict[str, Any]:
        return {
            "task_id": task.task_id,
            "attempt": task.attempt,
            "runner": self.name,
            "holder": this_process(),
            "started_at": time.time(),
        }

    def _may_start(self, lease: Lease[Any]) -> bool:
        """Claim the lease of a task, unless the task was cancelled, is done, or runs already."""
        task_id = lease.mark.task_id
        if self._is_over(task_id):
            return False
        if lease.claim():
            # The outcome may have come between our look and our claim.
            if not self._is_over(task_id):
                return True
            lease.release()
            return False
        if end_if_gone(self.exchange, task_id):
            self.ring(TaskName.RECOVER)
        logger.info("task %s has a mark: it is run by another process, or sent again", task_id)
        return False

    def _is_over(self, task_id: str) -> bool:
        """Whether the task was cancelled, or is a second delivery of one that is done."""
        return self.exchange.is_cancelled(task_id) or self.exchange.has_outcome(task_id)

    def _deliver(self, outcome: FoldOutcome | SplitOutcome, lease: Lease[Any]) -> bool:
        """Put an outcome on the shared disk and ring the master; tells whether it was still wanted."""
        if lease.lost:
            return False
        deadline = time.monotonic() + WRITE_PATIENCE_SECONDS
        while True:
            try:
                self.exchange.write_outcome(outcome)
                lease.release()
            except SoftTimeLimitExceeded:
                # It is raised once; the task is over, and its outcome must not be lost for that.
                continue
            except OSError as error:
                if time.monotonic() > deadline:
                    raise
                logger.warning("the outcome of %s cannot be written yet: %s", outcome.task_id, error)
                time.sleep(_WRITE_PAUSE_SECONDS)
            else:
                self.ring(TaskName.SAVE)
                return True


def _inside(folder: Path, relative: str) -> Path:
    path = (folder / relative).resolve()
    if path == folder or not path.is_relative_to(folder):
        raise InvalidMessage(f"{relative[:60]!r} leads out of its folder")
    return path
