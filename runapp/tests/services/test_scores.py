"""Scores of stored predictions: as scikit-learn makes them, and found however late a result comes."""

import datetime
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from django.db import connection
from django.utils import timezone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer, log_loss, r2_score
from sklearn.model_selection import StratifiedKFold, train_test_split

from runapp.contract import Outcome, State
from runapp.encodings import encode_predictions
from runapp.environment import Environment
from runapp.exchange import Exchange
from runapp.models import RawData, Submission, SubmissionFold
from runapp.scoring import FoldScores
from runapp.services import results
from runapp.services.data import split_ask
from runapp.services.data_changes import raw_data_change
from runapp.services.fold_changes import fold_retrain
from runapp.services.scores import score_what_is_due
from runapp.tests import factories
from runapp.tests.conftest import SentTask

pytestmark = pytest.mark.django_db

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


@pytest.fixture
def iris(environment: Environment) -> Callable[..., SplitData]:
    def make(scorer: str = "accuracy", **renamed: str) -> SplitData:
        frame = load_iris(as_frame=True).frame
        frame["target"] = frame["target"].map(dict(enumerate(["setosa", "versicolor", "virginica"])))
        return SplitData(environment.dir_data, frame, "target", "classifier", scorer)

    return make


def cv_folds(data: SplitData, n_folds: int = 3) -> list[tuple[Array, Array]]:
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=1)
    return list(splitter.split(data.X(data.train), data.y_train))


@pytest.mark.parametrize(
    "scorer", ["accuracy", "neg_log_loss", "roc_auc_ovr", "f1_macro", "balanced_accuracy"]
)
def test_a_fold_has_the_scores_that_scikit_learn_gives_the_estimator_itself(
    iris: Callable[..., SplitData], scorer: str
) -> None:
    data = iris(scorer)
    (train_is, test_is), *_ = cv_folds(data)
    fold = data.trained_fold(RandomForestClassifier(5, random_state=0), train_is, test_is)

    assert score_what_is_due() == 1

    fold.refresh_from_db()
    estimator = data.fit(RandomForestClassifier(5, random_state=0), train_is)
    score = get_scorer(scorer)
    assert fold.validation_score == pytest.approx(
        score(estimator, data.X(data.train)[test_is], data.y_train[test_is])
    )
    assert fold.test_score == pytest.approx(score(estimator, data.X(data.test), data.y_test))
    assert (fold.validation_note, fold.test_note, fold.scored_with) == ("", "", scorer)


@pytest.mark.parametrize("scorer", ["roc_auc", "average_precision", "neg_brier_score"])
def test_of_two_classes_the_second_is_the_positive_one(environment: Environment, scorer: str) -> None:
    frame = load_iris(as_frame=True).frame
    frame["target"] = (frame["target"] == 1).astype(int)
    data = SplitData(environment.dir_data, frame, "target", "classifier", scorer)
    (train_is, test_is), *_ = cv_folds(data)
    fold = data.trained_fold(LogisticRegression(), train_is, test_is)

    score_what_is_due()

    fold.refresh_from_db()
    estimator = data.fit(LogisticRegression(), train_is)
    assert fold.test_score == pytest.approx(get_scorer(scorer)(estimator, data.X(data.test), data.y_test))


def test_a_regressor_is_scored_by_its_values(environment: Environment) -> None:
    frame = load_diabetes(as_frame=True).frame
    data = SplitData(environment.dir_data, frame, "target", "regressor", "r2")
    train_is, test_is = np.arange(0, 200), np.arange(200, 300)
    fold = data.trained_fold(LinearRegression(), train_is, test_is)

    score_what_is_due()

    fold.refresh_from_db()
    estimator = data.fit(LinearRegression(), train_is)
    predicted = estimator.predict(data.X(data.train)[test_is])
    assert fold.validation_score == pytest.approx(r2_score(data.y_train[test_is], predicted))
    assert fold.test_score == pytest.approx(r2_score(data.y_test, estimator.predict(data.X(data.test))))


def test_a_class_that_no_training_row_of_a_fold_has_counts_as_never_predicted(
    iris: Callable[..., SplitData],
) -> None:
    data = iris()
    train_is = np.flatnonzero(data.y_train != "versicolor")
    test_is = np.flatnonzero(data.y_train == "versicolor")
    fold = data.trained_fold(LogisticRegression(max_iter=1000), train_is, test_is)

    score_what_is_due()

    fold.refresh_from_db()
    estimator = data.fit(LogisticRegression(max_iter=1000), train_is)
    assert fold.full_train_predictions_shape == [len(data.train), 2]
    assert fold.validation_score == 0.0
    assert fold.test_score == pytest.approx(accuracy_score(data.y_test, estimator.predict(data.X(data.test))))


def test_a_bag_scores_the_mean_of_the_folds_predictions(iris: Callable[..., SplitData]) -> None:
    data = iris("neg_log_loss")
    folds = [*cv_folds(data), *cv_folds(data, 4)]
    rows = [
        data.trained_fold(RandomForestClassifier(5, random_state=i), *fold) for i, fold in enumerate(folds)
    ]

    score_what_is_due()

    classes = np.unique(data.y_train)
    fitted = [data.fit(RandomForestClassifier(5, random_state=i), fold[0]) for i, fold in enumerate(folds)]
    test = np.mean([estimator.predict_proba(data.X(data.test)) for estimator in fitted], axis=0)
    held_out = np.zeros((len(data.train), 3))
    for estimator, (_, test_is) in zip(fitted, folds, strict=True):
        held_out[test_is] += estimator.predict_proba(data.X(data.train)[test_is]) / 2  # each row twice
    submission = Submission.objects.get()
    assert submission.bagged_test_score == pytest.approx(-log_loss(data.y_test, test, labels=classes))
    assert submission.bagged_validation_score == pytest.approx(
        -log_loss(data.y_train, held_out, labels=classes)
    )
    scores = [fold.validation_score or 0.0 for fold in SubmissionFold.objects.all()]
    assert submission.validation_score_mean == pytest.approx(np.mean(scores))
    assert submission.validation_score_std == pytest.approx(np.std(scores))
    assert submission.n_scored_folds == len(rows)


def test_rows_that_a_fold_was_trained_on_do_not_count_as_held_out(iris: Callable[..., SplitData]) -> None:
    data = iris()
    right = (data.y_train[:, None] == np.unique(data.y_train)).astype(float)
    wrong = np.roll(right, 1, axis=1)
    train_is = np.arange(80)
    predictions = np.where(np.arange(len(right))[:, None] < 80, right, wrong)
    test = np.full((len(data.test), 3), 1 / 3)
    cheat = data.fold(predictions, test, train_is, np.arange(len(right)))
    only_own = data.fold(predictions, test, train_is, train_is)

    score_what_is_due()

    cheat.refresh_from_db()
    only_own.refresh_from_db()
    assert cheat.validation_score == 0.0
    assert only_own.validation_score is None
    assert only_own.validation_note == "no row of test_is is held out of train_is"


@pytest.mark.parametrize(
    ("columns", "words"),
    [(2, "are not a probability for each of the 3 classes"), (4, "for each of the 3 classes")],
)
def test_predictions_of_other_classes_are_not_scored_and_say_why(
    iris: Callable[..., SplitData], columns: int, words: str
) -> None:
    data = iris()
    train_is, test_is = np.arange(80), np.arange(80, len(data.train))
    fold = data.fold(
        np.ones((len(data.train), columns)), np.ones((len(data.test), columns)), train_is, test_is
    )

    score_what_is_due()

    fold.refresh_from_db()
    assert (fold.validation_score, fold.test_score) == (None, None)
    assert words in fold.validation_note
    assert Submission.objects.get().bagged_test_note == "no fold has predictions that can be scored"


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        ("roc_auc", "multi_class must be in"),
        ("f1", "Target is multiclass"),
        ("r2", ""),
        ("gone", "no scorer 'gone'"),
    ],
)
def test_a_scorer_that_fails_leaves_its_reason(
    iris: Callable[..., SplitData], scorer: str, words: str
) -> None:
    data = iris(scorer)
    (train_is, test_is), *_ = cv_folds(data)
    fold = data.trained_fold(LogisticRegression(max_iter=1000), train_is, test_is)

    score_what_is_due()

    fold.refresh_from_db()
    assert fold.test_score is None
    assert fold.test_note
    assert words in fold.test_note
    assert fold.scored_with == scorer


def test_a_disk_that_is_away_leaves_folds_to_be_scored_when_it_is_back(
    iris: Callable[..., SplitData], environment: Environment
) -> None:
    data = iris()
    (train_is, test_is), *_ = cv_folds(data)
    fold = data.trained_fold(LogisticRegression(max_iter=1000), train_is, test_is)
    environment.dir_data.rename(environment.dir_data.with_name("away"))
    assert score_what_is_due() == 0
    environment.dir_data.with_name("away").rename(environment.dir_data)

    assert score_what_is_due() == 1

    fold.refresh_from_db()
    assert fold.test_score is not None


def test_labels_that_are_not_those_of_the_split_leave_their_reason(
    iris: Callable[..., SplitData], environment: Environment
) -> None:
    data = iris()
    fold = data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    (environment.dir_data / data.raw_data.split_folder / "test.csv").write_text("target\nsetosa\n")

    score_what_is_due()

    fold.refresh_from_db()
    assert fold.test_note == "test.csv does not hold the 30 rows of the split"


def test_a_scorer_that_is_changed_has_all_scores_made_anew(iris: Callable[..., SplitData]) -> None:
    data = iris("accuracy")
    for fold in cv_folds(data):
        data.trained_fold(LogisticRegression(max_iter=1000), *fold)
    score_what_is_due()
    before = Submission.objects.get().bagged_test_score

    raw_data_change(data.raw_data, by=data.organizer, scorer="neg_log_loss")

    assert Submission.objects.get().bagged_test_score is None
    assert not SubmissionFold.objects.exclude(test_score=None).exists()
    assert score_what_is_due() == 1
    submission = Submission.objects.get()
    assert submission.bagged_test_score is not None
    assert before is not None
    assert submission.bagged_test_score < 0 < before
    assert set(SubmissionFold.objects.values_list("scored_with", flat=True)) == {"neg_log_loss"}


def test_without_a_scorer_nothing_is_scored(iris: Callable[..., SplitData]) -> None:
    data = iris("accuracy")
    data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    score_what_is_due()
    raw_data_change(data.raw_data, by=data.organizer, scorer="")

    assert score_what_is_due() == 0
    assert SubmissionFold.objects.get().test_score is None


def test_scores_of_a_scorer_that_was_changed_meanwhile_are_not_written(
    iris: Callable[..., SplitData], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = iris("accuracy")
    data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])

    def change_meanwhile(*_: object) -> FoldScores:
        raw_data_change(data.raw_data, by=data.organizer, scorer="f1_macro")
        return FoldScores.none("")

    monkeypatch.setattr("runapp.scoring.Scoring.score_bag", change_meanwhile)

    assert score_what_is_due() == 0
    assert SubmissionFold.objects.get().scored_with == ""


def test_a_fold_that_comes_late_renews_the_bag(iris: Callable[..., SplitData], exchange: Exchange) -> None:
    data = iris()
    first, second, _ = cv_folds(data)
    data.trained_fold(LogisticRegression(max_iter=1000), *first)
    late = data.trained_fold(LogisticRegression(max_iter=1000), *second)
    answer = {name: getattr(late, name) for name in ("full_train_predictions", "test_predictions")}
    SubmissionFold.objects.start_anew(late.pk, task_id=late.task_id)
    late.refresh_from_db()

    assert score_what_is_due() == 1
    submission = Submission.objects.get()
    assert (submission.n_scored_folds, submission.bagged_test_score) == (1, None)
    assert submission.bagged_test_note == "not all folds are finished"

    shapes = {"full_train_predictions_shape": (120, 3), "test_predictions_shape": (30, 3)}
    exchange.write_outcome(factories.make_outcome(late, **answer, **shapes))
    results.save_outcomes()
    assert score_what_is_due() == 1

    submission.refresh_from_db()
    assert submission.n_scored_folds == 2
    assert submission.bagged_test_score is not None


def test_a_last_fold_that_fails_leaves_the_bag_to_the_others(iris: Callable[..., SplitData]) -> None:
    data = iris()
    data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    last = factories.make_fold(data.submission)
    score_what_is_due()
    assert Submission.objects.get().bagged_test_score is None

    SubmissionFold.objects.fail([last.pk], Outcome.CANCELLED, "Cancelled.")
    score_what_is_due()

    assert Submission.objects.get().bagged_test_score is not None
    assert score_what_is_due() == 0


def test_a_fold_that_is_trained_anew_has_no_scores_until_it_is_finished(
    iris: Callable[..., SplitData],
) -> None:
    data = iris()
    fold = data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    score_what_is_due()

    fold_retrain(fold.pk, by=data.organizer)

    fold.refresh_from_db()
    assert (fold.validation_score, fold.test_score, fold.scored_with) == (None, None, "")
    assert score_what_is_due() == 0


def test_folds_of_an_earlier_split_are_not_compared_with_the_labels_of_the_new_one(
    iris: Callable[..., SplitData],
) -> None:
    data = iris()
    now = timezone.now()
    fold = data.trained_fold(
        LogisticRegression(max_iter=1000), *cv_folds(data)[0], sent_at=now - datetime.timedelta(minutes=5)
    )
    score_what_is_due()
    task_id = data.raw_data.split_task_id
    split_ask(raw_data=data.raw_data, by=data.organizer, held_out_test=0.2, random_state=57)
    fold.refresh_from_db()
    assert fold.test_score is None
    assert score_what_is_due() == 0
    RawData.objects.update(
        split_state="DONE", split_task_id=task_id, split_sent_at=now, n_train_rows=120, n_test_rows=30
    )

    score_what_is_due()

    fold.refresh_from_db()
    assert fold.test_score is None
    assert fold.test_note == "the fold ran on an earlier split of the data set"


def test_a_slice_ends_in_time_and_the_next_goes_on(iris: Callable[..., SplitData]) -> None:
    data = iris()
    for _ in range(3):
        data.submission = factories.make_submission(data.raw_data)
        data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])

    assert score_what_is_due(slice_seconds=0.0) <= 1
    n_scored = Submission.objects.filter(n_scored_folds=1).count()
    assert n_scored < 3
    assert score_what_is_due() == 3 - n_scored


def test_what_another_worker_scores_is_left_to_it(iris: Callable[..., SplitData]) -> None:
    data = iris()
    data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    assert RawData.objects.claim_scoring(data.raw_data.pk, seconds=60)

    assert score_what_is_due() == 0
    RawData.objects.update(scoring_until=timezone.now() - datetime.timedelta(seconds=1))
    assert score_what_is_due() == 1, "whoever claimed it is gone"


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_leave_what_one_would(iris: Callable[..., SplitData]) -> None:
    data = iris()
    for fold in cv_folds(data):
        data.trained_fold(LogisticRegression(max_iter=1000), *fold)
    errors: list[BaseException] = []

    def score() -> None:
        try:
            # As after a claim that has run out: both score the same folds.
            RawData.objects.update(scoring_until=None)
            score_what_is_due()
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=score) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert errors == []
    both = Submission.objects.values().get()
    SubmissionFold.objects.drop_scores(data.raw_data.pk)
    RawData.objects.update(scoring_until=None)
    score_what_is_due()
    assert Submission.objects.values().get() == both
    assert both["n_scored_folds"] == 3


def test_saving_a_result_asks_for_its_score(
    iris: Callable[..., SplitData], exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    from runapp import tasks

    data = iris()
    fold = factories.make_fold(data.submission)
    tasks.save_submission_fold_db()
    assert sent_tasks == []
    exchange.write_outcome(factories.make_outcome(fold, outcome=Outcome.USER_ERROR))

    tasks.save_submission_fold_db()

    assert [(task.name, task.queue) for task in sent_tasks] == [("runapp.tasks.score", "master_periodic")]
    tasks.score()
    assert SubmissionFold.objects.get().scored_with == "accuracy"
