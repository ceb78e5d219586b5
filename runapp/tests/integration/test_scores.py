"""Scores through the real stack: named with the data set, made by the master, read through the API."""

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split

from test_files.client import Datarun
from test_files.client_connection import DatarunClientError
from test_files.examples import STANDARD_EXAMPLES

EXAMPLE = STANDARD_EXAMPLES[0]
SECONDS = 60


def wait_for_scores(datarun: Datarun, raw_data_id: int, scorer: str) -> pd.DataFrame:
    """The ranking, once all folds are scored by ``scorer``."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if (datarun.scores(raw_data_id)["scored_with"] == scorer).all():
            return datarun.ranking(raw_data_id)
        time.sleep(0.2)
    raise AssertionError(f"not scored: {datarun.scores(raw_data_id)}")


def test_iris_is_scored_as_its_predictions_say_and_anew_with_another_scorer(datarun: Datarun) -> None:
    data = datarun.post_data(
        "iris_with_scores", EXAMPLE.target_column, EXAMPLE.workflow_elements, EXAMPLE.files, scorer="accuracy"
    )
    frame = pd.read_csv(EXAMPLE.files[0])
    train, test = train_test_split(frame, test_size=0.2, random_state=42)
    y, y_test = (part[EXAMPLE.target_column].to_numpy() for part in (train, test))
    classes = np.unique(y)
    folds = list(StratifiedKFold(3).split(np.zeros((len(y), 1)), y))
    submission = datarun.post_submission(data["id"], EXAMPLE.submission_folder, folds=folds)
    datarun.wait(submission, timeout_seconds=SECONDS, progress=False)

    (row,) = wait_for_scores(datarun, data["id"], "accuracy").to_dict("records")

    results = datarun.results(submission)
    predicted = [(r.full_train_predictions, r.test_predictions) for r in results]
    of_folds = [
        accuracy_score(y[test_is], classes[whole[test_is].argmax(axis=1)])
        for (whole, _), (_, test_is) in zip(predicted, folds, strict=True)
        if whole is not None
    ]
    bag = np.mean([part for _, part in predicted if part is not None], axis=0)
    assert row["n_scored_folds"] == 3
    assert row["validation_score_mean"] == pytest.approx(np.mean(of_folds))
    assert row["validation_score_std"] == pytest.approx(np.std(of_folds))
    assert row["bagged_test_score"] == pytest.approx(accuracy_score(y_test, classes[bag.argmax(axis=1)]))

    with pytest.raises(DatarunClientError, match="not a scorer of scikit-learn"):
        datarun.change_data(data["id"], scorer="acuracy")
    datarun.change_data(data["id"], scorer="neg_log_loss", ranking="hidden")
    (row,) = wait_for_scores(datarun, data["id"], "neg_log_loss").to_dict("records")
    assert row["bagged_test_score"] == pytest.approx(-log_loss(y_test, bag, labels=classes))
