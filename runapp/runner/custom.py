"""Custom data sets: the five functions of the organizer's ``specific.py``."""

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from runapp.contract import SPECIFIC_FILE, SPECIFIC_FUNCTIONS
from runapp.encodings import Indices
from runapp.runner.failure import DataError
from runapp.runner.predictions import checked_predictions


@dataclasses.dataclass(frozen=True, kw_only=True)
class CustomData:
    """What a fold of a custom data set learns from; its code decides what ``X_*`` and ``y`` are."""

    X_train: Any
    y_train: Any
    X_test: Any
    train_is: Indices
    n_train_rows: int
    n_test_rows: int


def load_specific(folder: Path) -> ModuleType:
    """Import ``specific.py`` from the data set's folder.

    Raises
    ------
    DataError
        If the file or one of its functions is missing. What else the import raises passes through.
    """
    path = folder / SPECIFIC_FILE
    if not path.is_file():
        raise DataError(f"the data set has no {SPECIFIC_FILE}")
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DataError(f"{SPECIFIC_FILE} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Worker processes that its functions start find it by its name, after everything installed.
    sys.path.append(str(folder))
    sys.modules[name] = module
    spec.loader.exec_module(module)
    missing = [function for function in SPECIFIC_FUNCTIONS if not callable(getattr(module, function, None))]
    if missing:
        raise DataError(f"{SPECIFIC_FILE} does not define {', '.join(missing)}")
    return module


def load_custom_data(
    specific: ModuleType, folder: Path, train_is: Indices, *, n_train_rows: int, n_test_rows: int
) -> CustomData:
    """Get the data from the organizer's functions; the labels of the test set are dropped.

    Raises
    ------
    DataError
        If they return no ``(X, y)``, or another number of rows than when the data set was split.
    """
    X_train, y_train = _call(specific, "get_train_data", folder, n_train_rows)
    X_test, _ = _call(specific, "get_test_data", folder, n_test_rows)
    return CustomData(
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        train_is=train_is,
        n_train_rows=n_train_rows,
        n_test_rows=n_test_rows,
    )


def prepare_custom_data(folder: Path) -> tuple[int, int]:
    """Run ``prepare_data`` in a folder that holds the data set, and count the rows of train and test set.

    Raises
    ------
    DataError
        If a function is missing or returns no ``(X, y)``. What else they raise passes through.
    """
    specific = load_specific(folder)
    specific.prepare_data(str(folder))
    _, y_train = _call(specific, "get_train_data", folder)
    _, y_test = _call(specific, "get_test_data", folder)
    return len(y_train), len(y_test)


def _call(specific: ModuleType, function: str, folder: Path, n_rows: int | None = None) -> tuple[Any, Any]:
    returned = getattr(specific, function)(str(folder))
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise DataError(f"{function} of {SPECIFIC_FILE} must return (X, y), not a {type(returned).__name__}")
    X, y = returned
    if not hasattr(y, "__len__") or len(y) == 0:
        raise DataError(f"{function} of {SPECIFIC_FILE} must return a y with at least one row")
    if n_rows is not None and len(y) != n_rows:
        raise DataError(f"{function} of {SPECIFIC_FILE} returned {len(y)} rows; the split counted {n_rows}")
    return X, y


class CustomWorkflow:
    """A submission trained and tested by the organizer's functions."""

    def __init__(self, module_path: str, specific: ModuleType, data: CustomData) -> None:
        self._module_path = module_path
        self._specific = specific
        self._data = data
        self._trained: Any = None

    def train(self) -> None:
        data = self._data
        train_submission = self._specific.train_submission
        self._trained = train_submission(self._module_path, data.X_train, data.y_train, data.train_is)

    def predict_training_set(self) -> npt.NDArray[np.float64]:
        return self._predict(self._data.X_train, self._data.n_train_rows)

    def predict_test_set(self) -> npt.NDArray[np.float64]:
        return self._predict(self._data.X_test, self._data.n_test_rows)

    def _predict(self, X: Any, n_rows: int) -> npt.NDArray[np.float64]:
        predicted = self._specific.test_submission(self._trained, X, np.arange(n_rows))
        return checked_predictions(predicted, n_rows, "test_submission")
