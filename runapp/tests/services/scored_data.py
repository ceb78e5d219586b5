"""A data set whose split lies on disk, and folds on it as runners would have left them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold, train_test_split

from runapp.contract import State
from runapp.encodings import encode_predictions
from runapp.environment import Environment
from runapp.models import SubmissionFold
from runapp.tests import factories

Array = npt.NDArray[Any]


class SplitData:
    """A split data set on disk, and folds of one submission as a runner would have saved them."""

    def __init__(self, folder: Path, frame: pd.DataFrame, target: str, element: str, scorer: str) -> None:
        self.train, self.test = train_test_split(frame, test_size=0.2, random_state=57)
        self.target = target
        self.organizer = factories.make_account("grace")
        self.raw_data = factories.make_raw_data(
            target_column=target, workflow_elements=element, scorer=scorer, files_path="data-0",
            owner=self.organizer,
            n_train_rows=len(self.train), n_test_rows=len(self.test),
        )  # fmt: skip
        place = folder / self.raw_data.split_folder
        place.mkdir(parents=True)
        self.train.to_csv(place / "train.csv", index=False)
        self.test.to_csv(place / "test.csv", index=False)
        self.submission = factories.make_submission(self.raw_data)

    @property
    def y_train(self) -> Array:
        return np.asarray(self.train[self.target].to_numpy())

    @property
    def y_test(self) -> Array:
        return np.asarray(self.test[self.target].to_numpy())

    def X(self, part: pd.DataFrame) -> Array:
        return np.asarray(part.drop(columns=self.target).to_numpy())

    def fit(self, estimator: Any, train_is: Array) -> Any:
        return estimator.fit(self.X(self.train)[train_is], self.y_train[train_is])

    def fold(
        self, full_train: Array, test: Array, train_is: Any, test_is: Any, **fields: Any
    ) -> SubmissionFold:
        values: dict[str, Any] = {
            "train_is": factories.encoded_indices(train_is), "test_is": factories.encoded_indices(test_is),
            "state": State.TESTED,
            "full_train_predictions": encode_predictions(full_train),
            "full_train_predictions_shape": full_train.shape,
            "test_predictions": encode_predictions(test), "test_predictions_shape": test.shape,
        }  # fmt: skip
        return factories.make_fold(self.submission, **values | fields)

    def trained_fold(self, estimator: Any, train_is: Any, test_is: Any, **fields: Any) -> SubmissionFold:
        method = "predict_proba" if hasattr(estimator, "predict_proba") else "predict"
        fitted = self.fit(estimator, train_is)
        predict = getattr(fitted, method)
        return self.fold(predict(self.X(self.train)), predict(self.X(self.test)), train_is, test_is, **fields)


MakeData = Callable[..., SplitData]


def cv_folds(data: SplitData, n_folds: int = 3) -> list[tuple[Array, Array]]:
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=1)
    return list(splitter.split(data.X(data.train), data.y_train))


def iris_in(environment: Environment) -> MakeData:
    """Makes iris, with the names of its classes, as a data set that is scored."""

    def make(scorer: str = "accuracy") -> SplitData:
        frame = load_iris(as_frame=True).frame
        frame["target"] = frame["target"].map(dict(enumerate(["setosa", "versicolor", "virginica"])))
        return SplitData(environment.dir_data, frame, "target", "classifier", scorer)

    return make
