"""Workflows of a standard CSV data set: what happens to a submission between its data and its predictions."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedShuffleSplit

from runapp.runner.failure import DataError
from runapp.runner.predictions import checked_predictions
from runapp.runner.standard_data import StandardData
from runapp.runner.submission_package import element_class

#: Part of the training rows that a calibrator is fitted on, and the seed by which they are chosen.
CALIBRATION_SIZE = 0.1
CALIBRATION_SEED = 57


class Workflow(Protocol):
    """One submission on one fold of one data set; the three steps are called once each, in this order."""

    def train(self) -> None: ...

    def predict_training_set(self) -> npt.NDArray[np.float64]: ...

    def predict_test_set(self) -> npt.NDArray[np.float64]: ...


class StandardWorkflow:
    """Feature extractor, then classifier and calibrator, or regressor."""

    def __init__(self, module_path: str, elements: Sequence[str], data: StandardData) -> None:
        """
        Raises
        ------
        DataError
            If the elements are no workflow.
        """
        if ("classifier" in elements) == ("regressor" in elements):
            raise DataError("the workflow needs either a classifier or a regressor")
        if "calibrator" in elements and "classifier" not in elements:
            raise DataError("a calibrator needs a classifier")
        self._module_path = module_path
        self._elements = frozenset(elements)
        self._data = data
        self._extractor: Any = None
        self._calibrator: Any = None
        self._predictor: Any = None

    def train(self) -> None:
        y = self._data.y
        features = self._training_features(y)
        if "regressor" in self._elements:
            self._predictor = self._new("regressor")
            self._predictor.fit(features, y)
        elif "calibrator" in self._elements:
            self._train_calibrated(features, y)
        else:
            self._predictor = self._new("classifier")
            self._predictor.fit(features, y)

    def predict_training_set(self) -> npt.NDArray[np.float64]:
        return self._predict(self._data.X_train)

    def predict_test_set(self) -> npt.NDArray[np.float64]:
        return self._predict(self._data.X_test)

    def _training_features(self, y: npt.NDArray[Any]) -> Any:
        X, train_is = self._data.X_train, self._data.train_is
        if "feature_extractor" not in self._elements:
            # Rows of the array, not the array of the rows: these differ in memory order, and by that
            # the sums over them in the last bit.
            return X.to_numpy()[train_is]
        rows = X.iloc[train_is]
        self._extractor = self._new("feature_extractor")
        self._extractor.fit(rows, y)
        return self._extractor.transform(rows)

    def _train_calibrated(self, features: Any, y: npt.NDArray[Any]) -> None:
        splitter = StratifiedShuffleSplit(
            n_splits=1, test_size=CALIBRATION_SIZE, random_state=CALIBRATION_SEED
        )
        try:
            larger, other = next(splitter.split(np.zeros(len(y)), y))
        except ValueError as error:
            raise DataError(f"the training rows cannot be divided for the calibrator: {error}") from None
        self._predictor = self._new("classifier")
        self._predictor.fit(features[larger], y[larger])
        probabilities = self._predictor.predict_proba(features[other])
        self._calibrator = self._new("calibrator")
        self._calibrator.fit(probabilities, y[other])

    def _predict(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        features = self._features(X)
        if "regressor" in self._elements:
            return checked_predictions(self._predictor.predict(features), len(X), "predict of Regressor")
        predicted = self._predictor.predict_proba(features)
        if self._calibrator is None:
            return checked_predictions(predicted, len(X), "predict_proba of Classifier")
        calibrated = self._calibrator.predict_proba(predicted)
        return checked_predictions(calibrated, len(X), "predict_proba of Calibrator")

    def _features(self, X: pd.DataFrame) -> Any:
        return _array(X) if self._extractor is None else self._extractor.transform(X)

    def _new(self, element: str) -> Any:
        return element_class(self._module_path, element)()


def _array(X: pd.DataFrame) -> npt.NDArray[Any]:
    """The frame as an array that a submission may write into, whether pandas had to copy it or not."""
    array = X.to_numpy()
    if not array.flags.writeable:
        array = array.view()
        array.flags.writeable = True
    return array
