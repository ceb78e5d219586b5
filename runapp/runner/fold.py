"""One fold from its data to its predictions, and one split: the part that runs the organizer's and the
participant's code. It knows no processes; whoever isolates it calls it inside."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import numpy as np

from runapp.contract import Outcome
from runapp.runner.custom import (
    CustomWorkflow,
    load_custom_data,
    load_specific,
    prepare_custom_data,
)
from runapp.runner.failure import DataError, FoldFailure
from runapp.runner.job import MAX_LOG_BYTES, FoldJob, SplitJob
from runapp.runner.participant_log import participant_traceback
from runapp.runner.result_stream import Predictions, Stage
from runapp.runner.split import split_standard_data
from runapp.runner.standard_data import load_standard_data
from runapp.runner.submission_package import make_importable
from runapp.runner.workflows import StandardWorkflow, Workflow

#: Seed of the global random states of ``random`` and ``numpy.random``, set before each training.
GLOBAL_SEED = 0

_T = TypeVar("_T")


class Reporter(Protocol):
    """Takes what becomes of a fold or split."""

    def stage(self, stage: Stage) -> None: ...

    def failed(self, outcome: Outcome, log: str) -> None: ...

    def fold_done(self, full_train_predictions: Predictions, test_predictions: Predictions) -> None: ...

    def split_done(self, n_train_rows: int, n_test_rows: int) -> None: ...


def run_fold(job: FoldJob, reporter: Reporter) -> None:
    """Load, train, validate and test. Every failure is reported, none is raised."""
    run_workflow(lambda: _load(job), reporter)


def run_workflow(load: Callable[[], Workflow], reporter: Reporter) -> None:
    """As ``run_fold``, for data that ``load`` gets in its own way."""
    workflow = _guarded(load, reporter, blamed=Outcome.DATA_ERROR)
    if workflow is None:
        return
    predictions = _guarded(lambda: _train_and_test(workflow, reporter), reporter, blamed=Outcome.USER_ERROR)
    if predictions is not None:
        reporter.fold_done(*predictions)


def run_split(job: SplitJob, reporter: Reporter) -> None:
    """Split a data set within its working folder. Every failure is reported, none is raised."""
    run_data_step(lambda: _split(job), reporter)


def run_data_step(step: Callable[[], tuple[int, int]], reporter: Reporter) -> None:
    """Run a step on a data set's own files and code, which returns its rows of training and test set."""
    rows = _guarded(step, reporter, blamed=Outcome.DATA_ERROR)
    if rows is not None:
        reporter.split_done(*rows)


def seed_global_randomness() -> None:
    """Make a submission without seeds of its own repeatable."""
    random.seed(GLOBAL_SEED)
    np.random.seed(GLOBAL_SEED)


def _guarded(step: Callable[[], _T], reporter: Reporter, *, blamed: Outcome) -> _T | None:
    """Run a step with code of strangers; None where it failed, which then is reported."""
    try:
        return step()
    except FoldFailure as failure:
        reporter.failed(failure.outcome, failure.message[-MAX_LOG_BYTES:])
    except MemoryError as error:
        reporter.failed(Outcome.MEMORY, _story(error))
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are no result either
        reporter.failed(blamed, _story(error))
    return None


def _story(error: BaseException) -> str:
    # A hostile exception may fail even while it is written down.
    with suppress(BaseException):
        return participant_traceback(error, MAX_LOG_BYTES // 4)
    return f"{type(error).__name__}, whose traceback cannot be written"


def _load(job: FoldJob) -> Workflow:
    module_path = make_importable(job.submission_folder)
    n_rows = {"n_train_rows": job.n_train_rows, "n_test_rows": job.n_test_rows}
    if job.custom:
        specific = load_specific(job.data_folder)
        custom_data = load_custom_data(specific, job.data_folder, job.train_is, **n_rows)
        return CustomWorkflow(module_path, specific, custom_data)
    data = load_standard_data(job.data_folder, job.target_column, job.train_is, **n_rows)
    return StandardWorkflow(module_path, job.workflow_elements, data)


def _train_and_test(workflow: Workflow, reporter: Reporter) -> tuple[Predictions, Predictions]:
    seed_global_randomness()
    reporter.stage(Stage.LOADED)
    workflow.train()
    reporter.stage(Stage.TRAINED)
    full_train_predictions = workflow.predict_training_set()
    reporter.stage(Stage.VALIDATED)
    test_predictions = workflow.predict_test_set()
    reporter.stage(Stage.TESTED)
    return full_train_predictions, test_predictions


def _split(job: SplitJob) -> tuple[int, int]:
    if job.custom:
        return prepare_custom_data(job.working_folder)
    if job.data_file is None or job.held_out_test is None:
        raise DataError("the split of a standard data set needs its file and its held-out part")
    return split_standard_data(
        job.source_folder / job.data_file,
        job.working_folder,
        target_column=job.target_column,
        workflow_elements=job.workflow_elements,
        held_out_test=job.held_out_test,
        random_state=job.random_state,
    )
