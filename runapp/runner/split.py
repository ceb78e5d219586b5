"""The split of a standard CSV data set into ``train.csv`` and ``test.csv``."""

import csv
from collections.abc import Collection
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from runapp.contract import TEST_FILE, TRAIN_FILE
from runapp.runner.failure import DataError

_SHOWN_COLUMNS = 20


def split_standard_data(
    data_file: Path,
    folder: Path,
    *,
    target_column: str,
    workflow_elements: Collection[str],
    held_out_test: float,
    random_state: int | None,
) -> tuple[int, int]:
    """Write ``train.csv`` and ``test.csv`` into ``folder`` and return their numbers of rows.

    Raises
    ------
    DataError
        If the file is no CSV that the workflow can learn from, or too small to be split so.
    """
    frame = read_data(data_file)
    _check_target(frame, target_column, workflow_elements)
    try:
        train, test = train_test_split(frame, test_size=held_out_test, random_state=random_state)
    except ValueError as error:
        raise DataError(f"{len(frame)} rows cannot be split: {error}") from None
    train.to_csv(folder / TRAIN_FILE, index=False)
    test.to_csv(folder / TEST_FILE, index=False)
    return len(train), len(test)


def read_data(path: Path) -> pd.DataFrame:
    """Read a CSV file with a header as pandas does by default, but refuse what it would repair silently.

    Raises
    ------
    DataError
        In words.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            header, first_row = next(rows, []), next(rows, [])
        frame = pd.read_csv(path, low_memory=False)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(f"the data file is not UTF-8 text: it has a byte 0x{byte:02x}") from None
    except pd.errors.EmptyDataError:
        raise DataError("the data file is empty") from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"the data file is not a CSV file: {str(error).strip()}") from None
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"the data file has several columns of the same name: {', '.join(repeated)}")
    # pandas would take the first column for names of the rows.
    if len(first_row) > len(header):
        raise DataError("the rows of the data file have more fields than its header")
    return frame


def _check_target(frame: pd.DataFrame, target_column: str, workflow_elements: Collection[str]) -> None:
    if target_column not in frame.columns:
        columns = ", ".join(map(str, frame.columns[:_SHOWN_COLUMNS]))
        raise DataError(f"the data file has no target column {target_column!r}; its columns are: {columns}")
    if frame.shape[1] == 1:
        raise DataError(f"the data file has no column beside the target {target_column!r}")
    if frame.empty:
        raise DataError("the data file has a header, but no rows")
    target = frame[target_column]
    if target.isna().any():
        raise DataError(f"the target {target_column!r} has no value in {int(target.isna().sum())} rows")
    if "classifier" in workflow_elements and target.nunique() < 2:
        raise DataError(f"the target {target_column!r} has only one class, {target.iloc[0]!r}")
    if "regressor" in workflow_elements and not pd.api.types.is_numeric_dtype(target):
        raise DataError(f"the target {target_column!r} is not numeric, and the workflow has a regressor")
