"""One run of one split: from its task to its outcome."""

import logging
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from runapp.contract import SOFT_TIME_LIMIT_WORDS, Outcome
from runapp.messages import SplitMark, SplitOutcome, SplitTask
from runapp.runner.job import Launcher, Limits, SplitJob, SplitReport
from runapp.runner.lease import Lease
from runapp.runner.split_folder import publish, published_rows, working_folder

logger = logging.getLogger(__name__)


def run_split(
    task: SplitTask,
    limits: Limits,
    *,
    lease: Lease[SplitMark],
    launcher: Launcher,
    source_folder: Path,
    split_folder: Path,
) -> SplitOutcome:
    """Make ``split_folder`` from ``source_folder``, under a lease that is claimed.

    A folder that an earlier delivery made is kept.

    Raises
    ------
    OSError
        If the shared disk cannot be read or written; nothing was made then.
    """
    rows = published_rows(split_folder)
    log = ""
    if rows is None and not source_folder.is_dir():
        log = "The files of the data set are not on the shared disk."
    elif rows is None:
        with working_folder(split_folder, source_folder, custom=task.custom) as folder:
            job = SplitJob(
                source_folder=source_folder,
                working_folder=folder,
                custom=task.custom,
                data_file=task.data_file,
                target_column=task.target_column,
                workflow_elements=task.workflow_elements,
                held_out_test=task.held_out_test,
                random_state=task.random_state,
            )
            report = _run(launcher, job, limits, lease)
            log = report.log_messages
            if report.n_train_rows is not None and report.n_test_rows is not None:
                rows = publish(folder, split_folder, (report.n_train_rows, report.n_test_rows))
    return SplitOutcome(
        raw_data_id=task.raw_data_id,
        task_id=task.task_id,
        ok=rows is not None,
        log_messages=log,
        runner=lease.mark.runner,
        n_train_rows=rows[0] if rows else None,
        n_test_rows=rows[1] if rows else None,
    )


def _run(launcher: Launcher, job: SplitJob, limits: Limits, lease: Lease[SplitMark]) -> SplitReport:
    try:
        return launcher.run_split(job, limits, is_cancelled=lease.must_stop)
    except SoftTimeLimitExceeded:
        words = "stopped by the worker before the runner's own limit"
        return SplitReport(outcome=Outcome.TIMEOUT, log_messages=f"{SOFT_TIME_LIMIT_WORDS}: {words}.")
