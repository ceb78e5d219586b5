"""The split data of a standard CSV data set, as a fold needs it."""

import dataclasses
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt
import pandas as pd

from runapp.contract import TEST_FILE, TRAIN_FILE
from runapp.encodings import Indices
from runapp.runner.failure import DataError


@dataclasses.dataclass(frozen=True, kw_only=True)
class StandardData:
    """What a fold of a standard data set learns from. Labels of other rows are not in it."""

    #: Features of every row of the training set, and of the test set.
    X_train: pd.DataFrame
    X_test: pd.DataFrame
    #: Training rows by position, shape (n,), dtype int64, and their labels, shape (n,).
    train_is: Indices
    y: npt.NDArray[Any]


def load_standard_data(
    folder: Path, target_column: str, train_is: Indices, *, n_train_rows: int, n_test_rows: int
) -> StandardData:
    """Read ``train.csv`` and ``test.csv``.

    Raises
    ------
    DataError
        If they are not the files that the split wrote.
    """
    train = read_split_file(folder / TRAIN_FILE, TRAIN_FILE, target_column, n_train_rows)
    test = read_split_file(folder / TEST_FILE, TEST_FILE, target_column, n_test_rows)
    return StandardData(
        X_train=train.drop(columns=target_column),
        X_test=test.drop(columns=target_column),
        train_is=train_is,
        y=train[target_column].to_numpy()[train_is],
    )


def read_split_file(source: Path | BinaryIO, name: str, target_column: str, n_rows: int) -> pd.DataFrame:
    """Read one file that the split wrote, which messages call ``name``.

    Raises
    ------
    DataError
        If it is not what the split wrote.
    """
    try:
        frame = pd.read_csv(source, low_memory=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{name} of the split data cannot be read: {error}") from None
    if len(frame) != n_rows or target_column not in frame:
        raise DataError(f"{name} does not hold the {n_rows} rows with {target_column!r} of the split")
    return frame
