"""Tasks are sent after commit; what cannot be sent waits in the database."""

import json
from typing import Any

import pytest
from celery import Celery
from django.db import OperationalError as DatabaseOperationalError, transaction
from kombu import Connection
from kombu.exceptions import OperationalError

from datarun.celery import app
from runapp.contract import Priority, SplitState
from runapp.exchange import Exchange
from runapp.messages import INLINE_INDICES_CHARS, FoldTask
from runapp.models import RawData, SubmissionFold
from runapp.services.data import split_ask
from runapp.services.folds import FoldRequest, fold_submit
from runapp.services.recovery import recover
from runapp.tests import factories
from runapp.tests.conftest import SentTask
from runapp.tests.services.conftest import Submit

CODE = {"classifier.py": b"code"}


def broker_is_away(*_: Any, **__: Any) -> None:
    raise OperationalError("connection refused")


def request(raw_data: RawData) -> FoldRequest:
    rows = factories.encoded_indices([0, 1])
    return FoldRequest(
        fold_id=11,
        submission_id=1,
        train_is=rows,
        test_is=rows,
        raw_data_id=raw_data.pk,
        files=factories.encoded_files(CODE),
    )


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_before_the_commit(sent_tasks: list[SentTask]) -> None:
    user = factories.make_account("ada")

    with transaction.atomic():
        fold_submit(request(factories.make_raw_data()), owner=user)
        split_ask(raw_data=factories.make_raw_data(), held_out_test=0.5, random_state=1, by=user)
        assert sent_tasks == []

    assert len(sent_tasks) == 2


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_of_what_is_rolled_back(sent_tasks: list[SentTask]) -> None:
    user = factories.make_account("ada")
    raw_data = factories.make_raw_data()

    with transaction.atomic():
        fold_submit(request(raw_data), owner=user)
        split_ask(raw_data=raw_data, held_out_test=0.5, random_state=1, by=user)
        transaction.set_rollback(True)

    assert sent_tasks == []
    assert not SubmissionFold.objects.exists()


def test_while_the_broker_is_away_a_fold_waits_and_the_sweep_sends_it(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, sent_tasks: list[SentTask]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(app, "send_task", broker_is_away)
        fold = submit(raw_data_id=factories.make_raw_data().pk, files=CODE)
        recover()
    fold.refresh_from_db()
    assert (fold.state, fold.sent_at, fold.attempts) == ("TODO", None, 0)

    recover()
    recover()

    fold.refresh_from_db()
    assert fold.sent_at is not None
    assert (fold.times_sent, fold.attempts) == (1, 0)
    assert [task.task_id for task in sent_tasks] == [fold.task_id]


def test_while_the_broker_is_away_a_split_waits_and_the_sweep_sends_it(
    db: None,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
    sent_tasks: list[SentTask],
) -> None:
    user = factories.make_account("ada")
    raw_data = factories.make_raw_data(SplitState.NONE)
    with monkeypatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr(app, "send_task", broker_is_away)
        task_id = split_ask(raw_data=raw_data, held_out_test=0.5, random_state=1, by=user)
    assert RawData.objects.get().split_sent_at is None

    recover()
    recover()

    assert [task.task_id for task in sent_tasks] == [task_id]
    assert RawData.objects.get().split_sent_at is not None


def test_a_failure_after_the_commit_does_not_undo_the_answer(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, sent_tasks: list[SentTask]
) -> None:
    def database_is_away(*_: Any) -> None:
        raise DatabaseOperationalError("server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr("runapp.models.submission_fold.SubmissionFoldQuerySet.mark_sent", database_is_away)
        fold = submit(raw_data_id=factories.make_raw_data().pk, files=CODE)

    recover()
    fold.refresh_from_db()
    assert fold.sent_at is not None


def test_large_indices_travel_by_the_shared_disk(
    submit: Submit, exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    # Numbers without order do not compress.
    rows = factories.encoded_indices([i * 7919 % 99_991 for i in range(60_000)])
    assert len(rows) > INLINE_INDICES_CHARS

    fold = submit(raw_data_id=factories.make_raw_data(n_train_rows=100_000).pk, files=CODE, train_is=rows)

    task = FoldTask.from_message(json.loads(json.dumps(sent_tasks[0].message)))
    assert task.train_is is None
    assert exchange.read_indices(fold.task_id) == rows


def test_a_full_disk_keeps_a_fold_with_large_indices_waiting(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, sent_tasks: list[SentTask]
) -> None:
    def disk_is_full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runapp.dispatch.INLINE_INDICES_CHARS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Exchange, "write_indices", disk_is_full)
        fold = submit(raw_data_id=factories.make_raw_data().pk, files=CODE)
    assert sent_tasks == []

    recover()

    assert [task.task_id for task in sent_tasks] == [fold.task_id]


def test_a_disk_that_cannot_be_written_does_not_keep_a_fold_from_being_forced(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, sent_tasks: list[SentTask]
) -> None:
    def disk_is_read_only(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    first = submit(raw_data_id=factories.make_raw_data().pk, files=CODE)
    monkeypatch.setattr(Exchange, "cancel", disk_is_read_only)

    again = submit(force="submission_fold")

    assert [task.task_id for task in sent_tasks] == [first.task_id, again.task_id]


@pytest.mark.parametrize("queue", list(Priority))
def test_a_message_comes_out_of_the_broker_as_it_went_in(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, queue: Priority
) -> None:
    raw_data = factories.make_raw_data(target_column="espèce 🌍")
    with Connection("memory://") as connection:

        def send(name: str, args: list[Any], **options: Any) -> None:
            Celery.send_task(app, name, args, **options, connection=connection)

        monkeypatch.setattr(app, "send_task", send)
        fold = submit(raw_data_id=raw_data.pk, files=CODE, priority=queue)
        message = app.amqp.queues[queue.value](connection.channel()).get(no_ack=True)

    assert message is not None
    (args, _kwargs, _options) = message.payload
    task = FoldTask.from_message(args[0])
    assert message.headers["task"] == "runapp.tasks.train_test_submission_fold"
    assert message.headers["id"] == task.task_id == fold.task_id
    assert (task.fold_id, task.target_column) == (11, "espèce 🌍")
    assert task.train_is == fold.train_is


@pytest.mark.django_db(transaction=True)
def test_limits_of_the_data_set_travel_with_its_folds(sent_tasks: list[SentTask]) -> None:
    raw_data = factories.make_raw_data(max_fold_seconds=7, max_processes=3)
    fold_submit(request(raw_data), owner=factories.make_account("ada"))

    [sent] = sent_tasks
    task = FoldTask.from_message(json.loads(json.dumps(sent.message)))
    assert (task.max_fold_seconds, task.max_processes, task.max_memory_mb) == (7, 3, None)
