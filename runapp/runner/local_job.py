"""A fold's job from folders that somebody has at hand, without a service that knows them."""

import contextlib
import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from runapp.contract import SPECIFIC_FILE, TEST_FILE, TRAIN_FILE, WORKFLOW_ELEMENTS, Outcome
from runapp.encodings import Indices
from runapp.runner.failure import DataError, UserError
from runapp.runner.job import FoldJob, Launcher, Limits, SplitJob
from runapp.runner.split_folder import working_folder

#: Beside this place a custom data set is copied to be split.
_SPLIT_FOLDER = Path(tempfile.gettempdir()) / "datarun-local-fold"


@contextlib.contextmanager
def local_job(
    launcher: Launcher,
    data_folder: Path,
    submission_folder: Path,
    limits: Limits,
    *,
    target_column: str | None,
    train_is: Indices | None,
) -> Iterator[FoldJob]:
    """The job that trains ``submission_folder`` on ``train_is``, all rows where it is None.

    The workflow's elements are those that the submission has files of. A custom data set is split by its own
    code, in the launcher's sandbox and in a copy that is gone at the end.

    Raises
    ------
    DataError, UserError
        If one of the folders does not hold what it must.
    """
    elements = tuple(name for name in WORKFLOW_ELEMENTS if (submission_folder / f"{name}.py").exists())
    with contextlib.ExitStack() as stack:
        custom = (data_folder / SPECIFIC_FILE).exists()
        if custom:
            data_folder = stack.enter_context(working_folder(_SPLIT_FOLDER, data_folder, custom=True))
            n_train_rows, n_test_rows = _split(launcher, data_folder, limits)
        elif elements:
            columns, n_train_rows = _count_csv(data_folder / TRAIN_FILE)
            _, n_test_rows = _count_csv(data_folder / TEST_FILE)
            target_column = target_column or columns[-1]
        else:
            raise UserError(f"the submission has none of {', '.join(WORKFLOW_ELEMENTS)}")
        rows = np.arange(n_train_rows) if train_is is None else train_is
        if not rows.size or rows.min() < 0 or rows.max() >= n_train_rows:
            raise DataError(f"the training rows must be numbers from 0 to {n_train_rows - 1}")
        yield FoldJob(
            data_folder=data_folder,
            submission_folder=submission_folder,
            custom=custom,
            workflow_elements=elements,
            target_column=target_column or "",
            n_train_rows=n_train_rows,
            n_test_rows=n_test_rows,
            train_is=rows,
        )


def _count_csv(path: Path) -> tuple[list[str], int]:
    """The column names and the number of rows of a CSV file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream)
            columns = next(lines, [])
            return columns, sum(1 for line in lines if line)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from None


def _split(launcher: Launcher, folder: Path, limits: Limits) -> tuple[int, int]:
    job = SplitJob(
        source_folder=folder, working_folder=folder, custom=True, data_file=None, target_column="",
        workflow_elements=(), held_out_test=None, random_state=None,
    )  # fmt: skip
    report = launcher.run_split(job, limits, is_cancelled=lambda: False)
    if report.outcome is not Outcome.OK or report.n_train_rows is None or report.n_test_rows is None:
        raise DataError(f"the data set's {SPECIFIC_FILE} fails: {report.log_messages}")
    return report.n_train_rows, report.n_test_rows
