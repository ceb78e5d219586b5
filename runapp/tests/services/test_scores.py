"""Scores of stored predictions are those that scikit-learn gives the estimators themselves."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer, log_loss, r2_score

from runapp.environment import Environment
from runapp.models import Submission, SubmissionFold
from runapp.services.scores import score_what_is_due
from runapp.tests.services.scored_data import MakeData, SplitData, cv_folds

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "scorer", ["accuracy", "neg_log_loss", "roc_auc_ovr", "f1_macro", "balanced_accuracy"]
)
def test_a_fold_has_the_scores_that_scikit_learn_gives_the_estimator_itself(
    iris: MakeData, scorer: str
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
    iris: MakeData,
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


def test_a_bag_scores_the_mean_of_the_folds_predictions(iris: MakeData) -> None:
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


def test_rows_that_a_fold_was_trained_on_do_not_count_as_held_out(iris: MakeData) -> None:
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
    iris: MakeData, columns: int, words: str
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
def test_a_scorer_that_fails_leaves_its_reason(iris: MakeData, scorer: str, words: str) -> None:
    data = iris(scorer)
    (train_is, test_is), *_ = cv_folds(data)
    fold = data.trained_fold(LogisticRegression(max_iter=1000), train_is, test_is)

    score_what_is_due()

    fold.refresh_from_db()
    assert fold.test_score is None
    assert fold.test_note
    assert words in fold.test_note
    assert fold.scored_with == scorer
