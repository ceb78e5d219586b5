"""Training of the examples in this very process, with nothing but scikit-learn.

An oracle for what the service predicts: it follows the documentation and shares no code with the
service.
"""

import importlib
import importlib.util
import io
import itertools
import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from test_files.examples import HELD_OUT_TEST, RANDOM_STATE, Example

Indices = npt.NDArray[np.int64]

_package_numbers = itertools.count()


class TrainedPredictions(NamedTuple):
    """Predictions for every row of the training set, and for every row of the held-out test set."""

    full_train: npt.NDArray[np.float64]
    test: npt.NDArray[np.float64]


def _package_of(folder: Path) -> str:
    """Name of a fresh package that has the files of ``folder`` as its modules."""
    package = types.ModuleType(f"submission_in_process_{next(_package_numbers)}")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    return package.__name__


class StandardTraining:
    """A standard data set, split as the service splits it, and its submission's workflow.

    ``y`` is the target of the training set, of shape (n_rows,).
    """

    def __init__(self, example: Example) -> None:
        frame = pd.read_csv(example.data_file)
        train, test = train_test_split(frame, test_size=HELD_OUT_TEST, random_state=RANDOM_STATE)
        self._X, self.y = self._features_and_target(train, example.target_column)
        self._X_test, _ = self._features_and_target(test, example.target_column)
        self._elements = example.workflow_elements.split(",")
        self._package = _package_of(example.submission_folder)

    @staticmethod
    def _features_and_target(part: pd.DataFrame, target: str) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
        """What a reader of the split's CSV file sees."""
        written = io.StringIO()
        part.to_csv(written, index=False)
        written.seek(0)
        read = pd.read_csv(written)
        return read.drop(columns=target), read[target].to_numpy()

    def predictions(self, train_is: Indices) -> TrainedPredictions:
        """Train on the rows ``train_is``, of shape (n,), and predict everything."""
        X_train, y_train = self._X.iloc[train_is], self.y[train_is]
        if "feature_extractor" in self._elements:
            feature_extractor = self._new("feature_extractor")
            feature_extractor.fit(X_train, y_train)
            extract = feature_extractor.transform
            features = extract(X_train)
        else:
            extract = pd.DataFrame.to_numpy
            # Rows of the array, as the service takes them: the array of the rows has another memory order,
            # and by that another last bit in what linear models sum up.
            features = extract(self._X)[train_is]
        predict = self._fit_predictor(features, y_train)
        return TrainedPredictions(predict(extract(self._X)), predict(extract(self._X_test)))

    def _fit_predictor(self, features: npt.NDArray[Any], y: npt.NDArray[Any]) -> Any:
        """The function from features to predictions that the rest of the workflow learns."""
        if "regressor" in self._elements:
            regressor = self._new("regressor")
            regressor.fit(features, y)
            return regressor.predict
        classifier = self._new("classifier")
        if "calibrator" not in self._elements:
            classifier.fit(features, y)
            return classifier.predict_proba
        splitter = StratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=57)
        to_fit, to_calibrate = next(splitter.split(features, y))
        classifier.fit(features[to_fit], y[to_fit])
        calibrator = self._new("calibrator")
        calibrator.fit(classifier.predict_proba(features[to_calibrate]), y[to_calibrate])
        return lambda X: calibrator.predict_proba(classifier.predict_proba(X))

    def _new(self, element: str) -> Any:
        """An instance of the submission's class for an element of the workflow."""
        module = importlib.import_module(f".{element}", self._package)
        return getattr(module, "".join(word.capitalize() for word in element.split("_")))()


class CustomTraining:
    """A custom data set, split and read by its own five functions.

    ``y`` is the target of the training set, of shape (n_rows,).
    """

    def __init__(self, example: Example) -> None:
        if example.specific_file is None:
            raise ValueError(f"{example.name} is not a custom data set")
        specific = importlib.import_module(
            f".{example.specific_file.stem}", _package_of(example.specific_file.parent)
        )
        with tempfile.TemporaryDirectory() as folder:
            for path in example.files:
                shutil.copy(path, folder)
            specific.prepare_data(folder)
            self._X, self.y = specific.get_train_data(folder)
            self._X_test, _ = specific.get_test_data(folder)
        self._specific = specific
        self._package = _package_of(example.submission_folder)

    def predictions(self, train_is: Indices) -> TrainedPredictions:
        """Train on the rows ``train_is``, of shape (n,), and predict everything."""
        model = self._specific.train_submission(self._package, self._X, self.y, train_is)
        return TrainedPredictions(
            self._specific.test_submission(model, self._X, np.arange(len(self._X))),
            self._specific.test_submission(model, self._X_test, np.arange(len(self._X_test))),
        )


def train_in_process(example: Example) -> StandardTraining | CustomTraining:
    """The example's data, ready to be trained on."""
    return StandardTraining(example) if example.specific_file is None else CustomTraining(example)
