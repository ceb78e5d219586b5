"""One run of one fold: from its task to its outcome, with its sign of life meanwhile."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from runapp.content import folder_hash
from runapp.contract import SOFT_TIME_LIMIT_WORDS, Outcome, State
from runapp.encodings import Indices, decode_indices, encode_predictions
from runapp.errors import DatarunError
from runapp.exchange import Exchange
from runapp.messages import FoldMark, FoldOutcome, FoldTask
from runapp.runner.failure import DataError
from runapp.runner.job import FoldJob, FoldReport, Launcher, Limits
from runapp.runner.lease import Lease
from runapp.runner.limits import fold_limits

#: The most that indices of a fold may decompress to: 128 million of them.
_MAX_INDICES_BYTES = 1 << 30

logger = logging.getLogger(__name__)


class Lost(DatarunError):
    """The fold cannot be run here and now, through no fault of its submission or data."""

    code = "lost"


class FoldRun:
    """Runs a fold once, under a lease that is claimed.

    ``limits`` are the runner's own, which the task's data set may lower. ``data_folder`` and
    ``submission_folder`` are those of the task, on this machine.
    """

    def __init__(
        self,
        task: FoldTask,
        limits: Limits,
        *,
        lease: Lease[FoldMark],
        exchange: Exchange,
        launcher: Launcher,
        data_folder: Path,
        submission_folder: Path,
    ) -> None:
        self._task = task
        self._limits = fold_limits(limits, task)
        self._exchange = exchange
        self._launcher = launcher
        self._data_folder = data_folder
        self._submission_folder = submission_folder
        self._lease = lease

    def outcome(self) -> FoldOutcome:
        """Run the fold; whatever becomes of it is an outcome."""
        try:
            report = self._launcher.run_fold(
                self._job(),
                self._limits,
                on_stage=self._on_stage,
                is_cancelled=self._lease.must_stop,
                on_output=self._lease.show_output,
            )
        except SoftTimeLimitExceeded:
            words = "stopped by the worker before the runner's own limit"
            report = FoldReport(outcome=Outcome.TIMEOUT, log_messages=f"{SOFT_TIME_LIMIT_WORDS}: {words}.")
        except DataError as error:
            report = FoldReport(outcome=error.outcome, log_messages=error.message)
        except (OSError, DatarunError) as error:
            logger.warning("fold %s is lost on this runner: %s", self._task.fold_id, error)
            report = FoldReport(
                outcome=Outcome.LOST, log_messages=f"The runner could not run the fold: {error}"
            )
        except Exception:
            logger.exception("fold %s is lost through a fault of datarun", self._task.fold_id)
            report = FoldReport(outcome=Outcome.LOST, log_messages="The runner failed, not the submission.")
        return self._outcome_of(report)

    def _job(self) -> FoldJob:
        task = self._task
        if not self._data_folder.is_dir():
            raise Lost("the split data are not on the shared disk")
        if folder_hash(self._submission_folder) != task.submission_hash:
            raise Lost("the files of the submission on the shared disk are not those that were posted")
        return FoldJob(
            data_folder=self._data_folder,
            submission_folder=self._submission_folder,
            custom=task.custom,
            workflow_elements=task.workflow_elements,
            target_column=task.target_column,
            n_train_rows=task.n_train_rows,
            n_test_rows=task.n_test_rows,
            train_is=self._train_is(),
        )

    def _train_is(self) -> Indices:
        encoded = self._task.train_is
        if encoded is None:
            encoded = self._exchange.read_indices(self._task.task_id)
        train_is = decode_indices(encoded, max_bytes=_MAX_INDICES_BYTES)
        n_rows = self._task.n_train_rows
        if train_is.size == 0:
            raise DataError("train_is is empty")
        if train_is.max() >= n_rows:
            raise DataError(f"train_is holds the index {train_is.max()}; the training set has {n_rows} rows")
        return train_is

    def _on_stage(self, state: State, reached_at: float) -> None:
        field = {State.TRAINED: "trained_at", State.VALIDATED: "validated_at"}[state]
        self._lease.note(**{"state": state, field: reached_at})

    def _outcome_of(self, report: FoldReport) -> FoldOutcome:
        predictions: dict[str, Any] = {}
        for name in ("full_train_predictions", "test_predictions"):
            array = getattr(report, name)
            if array is not None:
                predictions |= {name: encode_predictions(array), f"{name}_shape": array.shape}
        return FoldOutcome(
            fold_id=self._task.fold_id,
            task_id=self._task.task_id,
            attempt=self._task.attempt,
            outcome=report.outcome,
            log_messages=report.log_messages,
            runner=self._lease.mark.runner,
            isolation=self._launcher.isolation,
            started_at=self._lease.mark.started_at,
            trained_at=report.trained_at,
            validated_at=report.validated_at,
            tested_at=report.tested_at,
            **dataclasses.asdict(report.measures),
            **predictions,
        )
