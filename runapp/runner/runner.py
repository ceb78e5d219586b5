"""A runner: takes a task's message through to its outcome on the shared disk. Knows no broker."""

import dataclasses
import logging
import time
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from runapp.contract import FoldOutcome, FoldTask, SplitOutcome, SplitTask
from runapp.errors import InvalidMessage
from runapp.exchange import Exchange
from runapp.runner.fold_run import FoldRun
from runapp.runner.job import Launcher, Limits
from runapp.runner.split_run import run_split

#: How long an outcome is kept in hand while the shared disk does not take it, and how often it is tried.
WRITE_PATIENCE_SECONDS = 30.0
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

    def run_fold(self, task: FoldTask, limits: Limits) -> FoldOutcome | None:
        """Run a fold and put its outcome on the shared disk; None where there is nothing (more) to do."""
        if self._is_over(task.task_id):
            return None
        run = FoldRun(
            task,
            limits,
            runner=self.name,
            exchange=self.exchange,
            launcher=self.launcher,
            data_folder=_inside(self.dir_data, task.data_folder),
            submission_folder=_inside(self.dir_submission, task.submission_folder),
        )
        outcome = run.outcome()
        self._deliver(outcome)
        self.exchange.remove_mark(task.task_id)
        return outcome

    def run_split(self, task: SplitTask, limits: Limits) -> SplitOutcome | None:
        """Split a data set and put the outcome on the shared disk; None as for ``run_fold``."""
        if self._is_over(task.task_id):
            return None
        outcome = run_split(
            task,
            limits,
            runner=self.name,
            exchange=self.exchange,
            launcher=self.launcher,
            source_folder=_inside(self.dir_data, task.source_folder),
            split_folder=_inside(self.dir_data, task.split_folder),
        )
        self._deliver(outcome)
        return outcome

    def _is_over(self, task_id: str) -> bool:
        """Whether the task was cancelled, or is a second delivery of one that is done."""
        return self.exchange.is_cancelled(task_id) or self.exchange.has_outcome(task_id)

    def _deliver(self, outcome: FoldOutcome | SplitOutcome) -> None:
        deadline = time.monotonic() + WRITE_PATIENCE_SECONDS
        while True:
            try:
                self.exchange.write_outcome(outcome)
            except SoftTimeLimitExceeded:
                # It is raised once; the fold is over, and its outcome must not be lost for that.
                continue
            except OSError as error:
                if time.monotonic() > deadline:
                    raise
                logger.warning("the outcome of %s cannot be written yet: %s", outcome.task_id, error)
                time.sleep(_WRITE_PAUSE_SECONDS)
            else:
                return


def _inside(folder: Path, relative: str) -> Path:
    path = (folder / relative).resolve()
    if path == folder or not path.is_relative_to(folder):
        raise InvalidMessage(f"{relative[:60]!r} leads out of its folder")
    return path
