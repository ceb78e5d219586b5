"""Scores are made of every result, however late it came, and anew when the scorer or the split changes."""

import datetime
from collections.abc import Callable
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from runapp.contract import Outcome
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
from runapp.tests.services.scored_data import MakeData, cv_folds

pytestmark = pytest.mark.django_db


def test_a_disk_that_is_away_leaves_folds_to_be_scored_when_it_is_back(
    iris: MakeData, environment: Environment
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
    iris: MakeData, environment: Environment
) -> None:
    data = iris()
    fold = data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    (environment.dir_data / data.raw_data.split_folder / "test.csv").write_text("target\nsetosa\n")

    score_what_is_due()

    fold.refresh_from_db()
    assert fold.test_note == "test.csv does not hold the 30 rows of the split"


def test_a_scorer_that_is_changed_has_all_scores_made_anew(iris: MakeData) -> None:
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


def test_without_a_scorer_nothing_is_scored(iris: MakeData) -> None:
    data = iris("accuracy")
    data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    score_what_is_due()
    raw_data_change(data.raw_data, by=data.organizer, scorer="")

    assert score_what_is_due() == 0
    assert SubmissionFold.objects.get().test_score is None


def test_scores_of_a_scorer_that_was_changed_meanwhile_are_not_written(
    iris: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = iris("accuracy")
    data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])

    def change_meanwhile(*_: object) -> FoldScores:
        raw_data_change(data.raw_data, by=data.organizer, scorer="f1_macro")
        return FoldScores.none("")

    monkeypatch.setattr("runapp.scoring.Scoring.score_bag", change_meanwhile)

    assert score_what_is_due() == 0
    assert SubmissionFold.objects.get().scored_with == ""


def test_a_fold_that_comes_late_renews_the_bag(iris: MakeData, exchange: Exchange) -> None:
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


def test_a_last_fold_that_fails_leaves_the_bag_to_the_others(iris: MakeData) -> None:
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
    iris: MakeData,
) -> None:
    data = iris()
    fold = data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    score_what_is_due()

    fold_retrain(fold.pk, by=data.organizer)

    fold.refresh_from_db()
    assert (fold.validation_score, fold.test_score, fold.scored_with) == (None, None, "")
    assert score_what_is_due() == 0


def test_folds_of_an_earlier_split_are_not_compared_with_the_labels_of_the_new_one(
    iris: MakeData,
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


def test_a_slice_ends_in_time_and_the_next_goes_on(iris: MakeData) -> None:
    data = iris()
    for _ in range(3):
        data.submission = factories.make_submission(data.raw_data)
        data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])

    assert score_what_is_due(slice_seconds=0.0) <= 1
    n_scored = Submission.objects.filter(n_scored_folds=1).count()
    assert n_scored < 3
    assert score_what_is_due() == 3 - n_scored


def test_what_another_worker_scores_is_left_to_it(iris: MakeData) -> None:
    data = iris()
    data.trained_fold(LogisticRegression(max_iter=1000), *cv_folds(data)[0])
    assert RawData.objects.claim_scoring(data.raw_data.pk, seconds=60)

    assert score_what_is_due() == 0
    RawData.objects.update(scoring_until=timezone.now() - datetime.timedelta(seconds=1))
    assert score_what_is_due() == 1, "whoever claimed it is gone"


def at_once(*jobs: Callable[[], object]) -> None:
    """Do several things in threads, each with a connection of its own; raises what one of them raises."""
    errors: list[BaseException] = []

    def do(job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=do, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    if errors:
        raise errors[0]


def score_without_a_claim() -> None:
    # As after a claim that has run out: several workers score the same folds.
    RawData.objects.update(scoring_until=None)
    score_what_is_due()


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_leave_what_one_would(iris: MakeData) -> None:
    data = iris()
    for fold in cv_folds(data):
        data.trained_fold(LogisticRegression(max_iter=1000), *fold)

    at_once(*[score_without_a_claim] * 3)

    several = Submission.objects.values().get()
    SubmissionFold.objects.drop_scores(data.raw_data.pk)
    score_without_a_claim()
    assert Submission.objects.values().get() == several
    assert several["n_scored_folds"] == 3


@pytest.mark.django_db(transaction=True)
def test_scorers_changed_and_folds_retrained_while_workers_score_end_in_the_last_scorers_scores(
    iris: MakeData,
) -> None:
    data = iris()
    rows = []
    for _ in range(3):
        data.submission = factories.make_submission(data.raw_data)
        rows += [data.trained_fold(LogisticRegression(max_iter=1000), *fold) for fold in cv_folds(data)]
    retrained = rows[4]

    def change_scorers() -> None:
        for scorer in ("f1_macro", "neg_log_loss", "balanced_accuracy"):
            raw_data_change(data.raw_data, by=data.organizer, scorer=scorer)

    def score_often() -> None:
        for _ in range(4):
            score_without_a_claim()

    at_once(change_scorers, score_often, score_often, lambda: fold_retrain(retrained.pk, by=data.organizer))

    score_without_a_claim()
    finished = SubmissionFold.objects.exclude(pk=retrained.pk)
    assert set(finished.values_list("scored_with", flat=True)) == {"balanced_accuracy"}
    assert SubmissionFold.objects.get(pk=retrained.pk).scored_with == ""
    assert sorted(Submission.objects.values_list("n_scored_folds", flat=True)) == [0, 2, 3, 3]


def test_saving_a_result_asks_for_its_score(
    iris: MakeData, exchange: Exchange, sent_tasks: list[SentTask]
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
