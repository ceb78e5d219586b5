"""Scores of stored predictions, made by scikit-learn's scorers. No Django.

The labels of a standard data set are read from the files of its split. Nothing of a submission is run
or unpickled: its predictions are arrays of numbers. Imports scikit-learn and pandas, which take a
second and 80 MB: only a process that scores should import this.
"""

import dataclasses
import functools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer

from runapp.contract import TEST_FILE, TRAIN_FILE
from runapp.encodings import Indices, Predictions
from runapp.errors import DatarunError

#: Scorers that compare each pair of classes take minutes for more.
MAX_CLASSES = 100
#: Most numbers of one array of predictions, 160 MB: a worker holds a few of them.
MAX_NUMBERS = 20_000_000
_NOTE_CHARS = 300

Labels = npt.NDArray[Any]


class CannotScore(DatarunError):
    """There is no score, for a reason that the organizer should read."""

    code = "cannot_score"


@dataclasses.dataclass(frozen=True)
class Score:
    """A score, greater is better, or why there is none."""

    value: float | None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class FoldScores:
    """Scores of one fold, or of the bag of several."""

    validation: Score
    test: Score

    @classmethod
    def none(cls, reason: str) -> "FoldScores":
        """No scores, and why."""
        score = Score(None, reason[:_NOTE_CHARS])
        return cls(score, score)


class _StoredClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # has no types
    """A classifier that was asked before: ``X`` are the probabilities that it gave then."""

    def __init__(self, classes: Labels) -> None:
        self.classes = classes
        self.classes_ = classes

    def predict_proba(self, X: Predictions) -> Predictions:
        return X

    def predict(self, X: Predictions) -> Labels:
        labels: Labels = self.classes_[X.argmax(axis=1)]
        return labels

    def __sklearn_is_fitted__(self) -> bool:
        return True


class _StoredRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # has no types
    """A regressor that was asked before: ``X`` are the values that it gave then."""

    def predict(self, X: Predictions) -> Predictions:
        return X

    def __sklearn_is_fitted__(self) -> bool:
        return True


@functools.lru_cache(maxsize=2)
def read_labels(path: Path, target_column: str, n_rows: int) -> Labels:
    """The target of each row of a split's file, as a fold's training reads it; shape (n_rows,).

    Those of the last data set are kept: folds come one by one, and a split's files never change.

    Raises
    ------
    CannotScore
        If the file is not what the split wrote.
    OSError
        If it cannot be read now.
    """
    try:
        target = pd.read_csv(path, usecols=[target_column], nrows=n_rows + 1, low_memory=False)
    except ValueError as error:
        raise CannotScore(f"{path.name} of the split cannot be read: {error}") from None
    if len(target) != n_rows:
        raise CannotScore(f"{path.name} does not hold the {n_rows} rows of the split")
    labels: Labels = target[target_column].to_numpy(copy=True)
    labels.flags.writeable = False
    return labels


class Scoring:
    """A scorer of a data set, and the labels it compares with."""

    def __init__(self, scorer: str, *, classify: bool, y_train: Labels, y_test: Labels) -> None:
        """
        Parameters
        ----------
        scorer
            Name of a scorer of scikit-learn.
        classify
            Whether predictions are probabilities of classes, or else values of a regressor.
        y_train, y_test
            Labels of the training set, shape (n_train_rows,), and of the test set, shape (n_test_rows,).

        Raises
        ------
        CannotScore
            If there is no such scorer, or there are too many classes.
        """
        try:
            self._scorer = get_scorer(scorer)
        except ValueError:
            raise CannotScore(f"this server's scikit-learn has no scorer {scorer!r}") from None
        self._classify, self._y_train, self._y_test = classify, y_train, y_test
        try:
            self._classes: Labels = np.unique(np.concatenate([y_train, y_test])) if classify else y_train[:0]
        except TypeError:
            raise CannotScore("the test set's labels are of another kind than the training set's") from None
        if len(self._classes) > MAX_CLASSES:
            raise CannotScore(f"the target has more than the {MAX_CLASSES} classes that can be scored")
        self._estimator = _StoredClassifier(self._classes) if classify else _StoredRegressor()

    @classmethod
    def of_split(
        cls, folder: Path, *, scorer: str, target_column: str, classify: bool, n_rows: tuple[int, int]
    ) -> "Scoring":
        """The scorer of a data set whose split lies in ``folder``, of ``n_rows`` to train and to test.

        Raises
        ------
        CannotScore, OSError
            As ``read_labels`` and ``Scoring``.
        """
        y_train, y_test = (
            read_labels(folder / name, target_column, n)
            for name, n in zip((TRAIN_FILE, TEST_FILE), n_rows, strict=True)
        )
        return cls(scorer, classify=classify, y_train=y_train, y_test=y_test)

    def fold(
        self, full_train: Predictions, test: Predictions, *, train_is: Indices, test_is: Indices
    ) -> "ScoredFold":
        """One fold's predictions, brought to one column for each class of the data set.

        Raises
        ------
        CannotScore
            If they are not what a workflow of this data set gives.
        """
        if train_is.size and train_is.max() >= len(self._y_train):
            raise CannotScore("the fold's training rows are not those of this split")
        fold_classes = np.unique(self._y_train[train_is]) if self._classify else None
        return ScoredFold(
            full_train=self._aligned(full_train, fold_classes, len(self._y_train)),
            test=self._aligned(test, fold_classes, len(self._y_test)),
            # A submission knows the labels of its training rows: they tell nothing, held out or not.
            held_out=test_is[~np.isin(test_is, train_is)],
        )

    def _aligned(self, predictions: Predictions, fold_classes: Labels | None, n_rows: int) -> Predictions:
        if predictions.shape[0] != n_rows:
            raise CannotScore(f"{predictions.shape[0]} predictions for {n_rows} rows")
        if fold_classes is None:
            if predictions.size != n_rows:
                raise CannotScore(f"predictions of the shape {predictions.shape} are not one value per row")
            return predictions.reshape(n_rows)
        if predictions.ndim != 2 or predictions.shape[1] != len(fold_classes):
            raise CannotScore(
                f"predictions of the shape {predictions.shape} are not a probability for each of the "
                f"{len(fold_classes)} classes of the fold's training rows"
            )
        if n_rows * len(self._classes) > MAX_NUMBERS:
            raise CannotScore(f"more than {MAX_NUMBERS} predictions are not scored")
        if len(fold_classes) == len(self._classes):
            return predictions
        aligned = np.zeros((n_rows, len(self._classes)))
        aligned[:, np.searchsorted(self._classes, fold_classes)] = predictions
        return aligned

    def score(self, fold: "ScoredFold") -> FoldScores:
        """The scores of one fold: on its held-out training rows, and on the test set."""
        if not fold.held_out.size:
            validation = Score(None, "no row of test_is is held out of train_is")
        elif fold.held_out.max() >= len(self._y_train):
            validation = Score(None, "test_is is not within the training set")
        else:
            validation = self._score(fold.full_train[fold.held_out], self._y_train[fold.held_out])
        return FoldScores(validation, self._score(fold.test, self._y_test))

    def score_bag(self, bag: "Bag") -> FoldScores:
        """The scores of the mean predictions of a bag's folds.

        A training row counts with the mean over the folds that held it out, if there is one.
        """
        if bag.full_train is None or bag.test is None:
            return FoldScores.none("no fold has predictions that can be scored")
        rows = np.flatnonzero(bag.n_held_out)
        if rows.size:
            counts = bag.n_held_out[rows].reshape(-1, *[1] * (bag.full_train.ndim - 1))
            validation = self._score(bag.full_train[rows] / counts, self._y_train[rows])
        else:
            validation = Score(None, "no training row is held out of a fold")
        return FoldScores(validation, self._score(bag.test / bag.n_folds, self._y_test))

    def _score(self, predictions: Predictions, y: Labels) -> Score:
        """What the scorer says of predictions; a scorer that fails says why."""
        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                value = float(self._scorer(self._estimator, predictions, y))
        except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
            return Score(None, _first_line(str(error)))
        if not math.isfinite(value):
            return Score(None, _first_line(str(heard[0].message)) if heard else f"the score is {value}")
        return Score(value)


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["the scorer failed without a reason"])[0][:_NOTE_CHARS]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoredFold:
    """A fold's predictions, with the columns of all classes or one value per row, and its held-out rows."""

    full_train: Predictions
    test: Predictions
    held_out: Indices


class Bag:
    """The sum of the predictions of a submission's folds, of one fold at a time."""

    def __init__(self, n_train_rows: int) -> None:
        self.n_folds = 0
        self.full_train: Predictions | None = None
        self.test: Predictions | None = None
        #: How many folds held each training row out, shape (n_train_rows,).
        self.n_held_out = np.zeros(n_train_rows, dtype=np.int64)

    def add(self, fold: ScoredFold) -> None:
        if self.full_train is None or self.test is None:
            self.full_train, self.test = np.zeros_like(fold.full_train), np.zeros_like(fold.test)
        rows = np.unique(fold.held_out)
        rows = rows[rows < len(self.n_held_out)]
        self.full_train[rows] += fold.full_train[rows]
        self.test += fold.test
        self.n_held_out[rows] += 1
        self.n_folds += 1


def mean_and_spread(scores: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and standard deviation (of the whole, not of a sample); None for no scores."""
    if not scores:
        return None, None
    return float(np.mean(scores)), float(np.std(scores))
