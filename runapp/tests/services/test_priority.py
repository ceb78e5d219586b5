"""Raising the priority of a fold that waits."""

import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from runapp import dispatch
from runapp.contract import Priority, State
from runapp.errors import Conflict, NotFound
from runapp.models import SubmissionFold
from runapp.services.fold_changes import fold_raise_priority
from runapp.services.folds import release_folds
from runapp.tests import factories
from runapp.tests.conftest import SentTask


@pytest.fixture
def raised(owner: User, django_capture_on_commit_callbacks: Any) -> Any:
    def raise_priority(fold: SubmissionFold) -> SubmissionFold:
        with django_capture_on_commit_callbacks(execute=True):
            fold_raise_priority(fold.pk, by=owner)
        fold.refresh_from_db()
        return fold

    return raise_priority


def test_a_queued_fold_is_sent_again_to_the_queue_of_high_priority(
    raised: Any, sent_tasks: list[SentTask]
) -> None:
    fold = factories.make_fold(sent_at=timezone.now(), times_sent=1)

    raised(fold)

    assert [(task.task_id, task.queue) for task in sent_tasks] == [(fold.task_id, "H")]
    assert fold.priority == Priority.HIGH
    assert fold.times_sent == 2  # so that the copy in L is stopped when the result is saved
    assert fold.sent_at is not None


def test_a_fold_whose_data_are_not_split_yet_goes_to_the_queue_of_high_priority_later(
    raised: Any, sent_tasks: list[SentTask]
) -> None:
    raw_data = factories.make_raw_data("TODO")  # type: ignore[arg-type]  # as the database holds it
    fold = factories.make_fold(factories.make_submission(raw_data))

    raised(fold)
    assert sent_tasks == []
    type(raw_data).objects.filter(pk=raw_data.pk).update(split_state="DONE", n_train_rows=6, n_test_rows=3)
    release_folds()

    assert [task.queue for task in sent_tasks] == ["H"]


def test_a_fold_that_the_broker_did_not_take_is_sent_by_the_next_sweep(
    raised: Any, sent_tasks: list[SentTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = factories.make_fold(sent_at=timezone.now(), times_sent=1)
    with monkeypatch.context() as away:
        away.setattr(dispatch, "send_fold", lambda _: False)
        raised(fold)

    release_folds()

    assert [task.queue for task in sent_tasks] == ["H"]


def test_raising_twice_sends_once(raised: Any, sent_tasks: list[SentTask]) -> None:
    fold = factories.make_fold(sent_at=timezone.now())

    raised(raised(fold))

    assert len(sent_tasks) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"state": State.TODO, "started_at": timezone.now()}, "runs already"),
        ({"state": State.TRAINED, "started_at": timezone.now()}, "runs already"),
        ({"state": State.TESTED, "saved_at": timezone.now()}, "is finished: TESTED"),
        ({"state": State.ERROR, "saved_at": timezone.now() - datetime.timedelta(1)}, "is finished: ERROR"),
    ],
)
def test_a_fold_that_no_longer_waits_is_left_alone(
    owner: User, sent_tasks: list[SentTask], fields: dict[str, Any], reason: str
) -> None:
    fold = factories.make_fold(**fields)

    with pytest.raises(Conflict, match=reason):
        fold_raise_priority(fold.pk, by=owner)

    fold.refresh_from_db()
    assert fold.priority == Priority.LOW
    assert sent_tasks == []


def test_there_is_nothing_to_raise_of_an_unknown_fold(owner: User) -> None:
    with pytest.raises(NotFound):
        fold_raise_priority(404, by=owner)
