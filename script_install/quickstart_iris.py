"""What the quickstart trains: a submission on eight folds of iris."""

import uuid
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

from test_files.client import Datarun, FoldResult
from test_files.examples import HELD_OUT_TEST, RANDOM_STATE, STANDARD_EXAMPLES

N_FOLDS = 8
_TRAIN_SECONDS = 600.0
_EXAMPLE = STANDARD_EXAMPLES[0]

Fold = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


class Labels(NamedTuple):
    """Species of the training set, of shape (n_train,), and of the held-out test set, of shape (n_test,)."""

    train: npt.NDArray[np.str_]
    test: npt.NDArray[np.str_]


def read_labels() -> Labels:
    """The labels in the order of the service's split, which the documentation lays down."""
    frame = pd.read_csv(_EXAMPLE.data_file)
    train, test = train_test_split(frame, test_size=HELD_OUT_TEST, random_state=RANDOM_STATE)
    return Labels(train[_EXAMPLE.target_column].to_numpy(), test[_EXAMPLE.target_column].to_numpy())


def make_folds(labels: Labels) -> list[Fold]:
    splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=RANDOM_STATE)
    return list(splitter.split(np.zeros((len(labels.train), 1)), labels.train))


def train(url: str, username: str, password: str, folds: list[Fold]) -> list[FoldResult]:
    """Send iris under a new name and a submission with its folds, wait, and return what came out."""
    datarun = Datarun(url, username, password)
    data = datarun.post_data(
        f"iris_{uuid.uuid4().hex[:8]}",
        _EXAMPLE.target_column,
        _EXAMPLE.workflow_elements,
        _EXAMPLE.files,
        held_out_test=HELD_OUT_TEST,
        random_state=RANDOM_STATE,
    )
    submission = datarun.post_submission(data["id"], _EXAMPLE.submission_folder, folds=folds)
    datarun.wait(submission, timeout_seconds=_TRAIN_SECONDS)
    return datarun.results(submission)


def print_table(results: list[FoldResult], folds: list[Fold], labels: Labels) -> None:
    print("\n  fold   validation accuracy   test accuracy   train seconds   memory MB")
    for result, (_, validation_is) in zip(results, folds, strict=True):
        if result.full_train_predictions is None or result.test_predictions is None:
            print(f"{result.fold_id:6d}   {result.state}, {result.outcome}: {result.log_messages[-500:]}")
            continue
        species = np.unique(labels.train)
        guessed = species[result.full_train_predictions.argmax(axis=1)]
        validation_accuracy = np.mean(guessed[validation_is] == labels.train[validation_is])
        test_accuracy = np.mean(species[result.test_predictions.argmax(axis=1)] == labels.test)
        print(
            f"{result.fold_id:6d}   {validation_accuracy:19.3f}   {test_accuracy:13.3f}"
            f"   {result.train_time:13.3f}   {result.train_memory / 1024:9.0f}"
        )
