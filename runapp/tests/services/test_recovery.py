"""Tasks that were lost on the way are sent again, and end after their last start."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from runapp import dispatch
from runapp.contract import MAX_ATTEMPTS, Outcome, Queue, SplitState, State
from runapp.environment import Environment
from runapp.exchange import Exchange
from runapp.messages import FoldMark, SplitMark
from runapp.models import RawData, SubmissionFold
from runapp.services import recovery
from runapp.services.results import save_outcomes
from runapp.tests import factories
from runapp.tests.conftest import SentTask

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def lease_seconds(environment: Environment) -> int:
    return environment.lease_seconds


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A broker that has so many tasks in each queue."""
    n_ready = {queue.value: 0 for queue in Queue}

    def depth(queue: str) -> dispatch.QueueDepth:
        return dispatch.QueueDepth(n_ready[queue], 1)

    monkeypatch.setattr(dispatch, "queue_depth", depth)
    return n_ready


@pytest.fixture
def watched(exchange: Exchange, lease_seconds: int) -> None:
    """The master has looked at the marks for two leases."""
    exchange.watch(gap_seconds=lease_seconds)
    (exchange.folder / "clock").write_text(str(exchange.now() - 2 * lease_seconds))


def sent_fold(**fields: Any) -> SubmissionFold:
    """A fold that was sent long ago."""
    sent: dict[str, Any] = {"sent_at": timezone.now() - HOUR, "times_sent": 1}
    return factories.make_fold(**sent | fields)


def mark_of(fold: SubmissionFold, **changes: Any) -> FoldMark:
    values: dict[str, Any] = {
        "fold_id": fold.pk, "task_id": fold.task_id, "attempt": fold.attempts + 1, "runner": "runner@host",
        "holder": "another host|boot|1|2|3", "state": State.TODO, "started_at": 1.7e9,
    }  # fmt: skip
    return FoldMark(**values | changes)


def age(exchange: Exchange, task_id: str, seconds: float) -> None:
    """Let the last heartbeat of a mark have been so long ago."""
    then = exchange.now() - seconds
    os.utime(exchange.folder / "marks" / f"{task_id}.json", (then, then))


@pytest.mark.usefixtures("watched", "broker")
def test_a_fold_whose_heartbeats_stay_away_is_sent_again_under_its_task(
    exchange: Exchange, lease_seconds: int, sent_tasks: list[SentTask]
) -> None:
    fold = sent_fold()
    exchange.claim_mark(mark_of(fold))
    age(exchange, fold.task_id, lease_seconds + 5)

    recovery.recover()

    fold.refresh_from_db()
    assert (fold.state, fold.attempts, fold.started_at) == (State.TODO, 1, None)
    assert "Start 1 on runner@host was lost: no sign of life for" in fold.log_messages
    [task] = sent_tasks
    assert (task.task_id, task.message["attempt"]) == (fold.task_id, 2)
    assert exchange.marked_task_ids() == []


@pytest.mark.usefixtures("watched", "broker")
def test_a_fold_that_loses_every_start_ends_as_lost_with_the_story_of_all(
    exchange: Exchange, lease_seconds: int
) -> None:
    fold = sent_fold()
    for number in range(1, MAX_ATTEMPTS + 1):
        fold.refresh_from_db()
        exchange.claim_mark(mark_of(fold, runner=f"runner{number}@host"))
        age(exchange, fold.task_id, lease_seconds + 5)
        recovery.recover()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome, fold.attempts) == (State.ERROR, Outcome.LOST, MAX_ATTEMPTS)
    lines = fold.log_messages.splitlines()
    assert [line.partition(" was lost")[0] for line in lines] == [
        f"Start {number} on runner{number}@host" for number in range(1, MAX_ATTEMPTS + 1)
    ]


@pytest.mark.usefixtures("watched", "broker")
def test_a_fold_with_fresh_heartbeats_is_followed_and_left_alone(
    exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    fold = sent_fold()
    exchange.claim_mark(mark_of(fold, state=State.TRAINED, trained_at=1.7e9 + 1))

    recovery.recover()

    fold.refresh_from_db()
    assert (fold.state, fold.attempts, fold.runner) == (State.TRAINED, 1, "runner@host")
    assert sent_tasks == []
    assert exchange.has_mark(fold.task_id)


@pytest.mark.usefixtures("broker")
def test_no_lease_is_ended_before_the_master_has_watched_it_for_its_whole_time(
    exchange: Exchange, lease_seconds: int
) -> None:
    fold = sent_fold()
    exchange.claim_mark(mark_of(fold))
    age(exchange, fold.task_id, 10 * lease_seconds)

    recovery.recover()  # the first look after a long time: the disk may just be back

    fold.refresh_from_db()
    assert exchange.has_mark(fold.task_id)
    assert fold.log_messages == ""


@pytest.mark.usefixtures("broker")
def test_a_gap_in_watching_gives_every_lease_its_whole_time_again(
    exchange: Exchange, lease_seconds: int
) -> None:
    clock = exchange.folder / "clock"
    clock.write_text("0")
    long_ago = exchange.now() - 2 * lease_seconds
    os.utime(clock, (long_ago, long_ago))

    now, since = recovery.watch()

    assert since == now


@pytest.mark.usefixtures("broker")
def test_a_mark_that_tells_of_its_end_is_believed_at_once(
    exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    fold = sent_fold()
    exchange.claim_mark(mark_of(fold, ended="its process was lost: SIGKILL"))

    recovery.recover()

    fold.refresh_from_db()
    assert fold.attempts == 1
    assert "its process was lost: SIGKILL" in fold.log_messages
    assert [task.task_id for task in sent_tasks] == [fold.task_id]


@pytest.mark.usefixtures("broker")
def test_a_fold_that_was_handed_back_is_sent_again_and_no_start_is_counted(
    exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    fold = sent_fold()
    exchange.claim_mark(mark_of(fold, ended="its runner was stopped", handed_back=True))

    recovery.recover()

    fold.refresh_from_db()
    assert (fold.attempts, fold.log_messages) == (0, "")
    assert [task.message["attempt"] for task in sent_tasks] == [1]


@pytest.mark.usefixtures("watched", "broker")
def test_a_lost_split_is_sent_again_and_ends_after_its_last_start(
    exchange: Exchange, lease_seconds: int, sent_tasks: list[SentTask]
) -> None:
    raw_data = factories.make_raw_data(SplitState.TODO, split_sent_at=timezone.now() - HOUR)
    for number in range(1, MAX_ATTEMPTS + 1):
        mark = SplitMark(
            raw_data_id=raw_data.pk, task_id=raw_data.split_task_id, attempt=number, runner="runner@host",
            holder="another", started_at=1.7e9,
        )  # fmt: skip
        exchange.claim_mark(mark)
        age(exchange, raw_data.split_task_id, lease_seconds + 5)
        recovery.recover()

    raw_data.refresh_from_db()
    assert raw_data.split_state == SplitState.ERROR
    assert raw_data.split_log.count("was lost") == MAX_ATTEMPTS
    assert [task.message["attempt"] for task in sent_tasks] == [2, 3]


def test_a_queued_fold_waits_for_ever_while_the_broker_has_it(
    broker: dict[str, int], sent_tasks: list[SentTask]
) -> None:
    folds = [sent_fold(sent_at=timezone.now() - timedelta(days=30)) for _ in range(3)]
    broker["L"] = len(folds)

    recovery.recover()

    assert sent_tasks == []


def test_folds_that_the_broker_no_longer_has_are_sent_again_oldest_first(
    broker: dict[str, int], sent_tasks: list[SentTask]
) -> None:
    folds = [sent_fold(sent_at=timezone.now() - (n + 1) * HOUR) for n in range(4)]
    broker["L"] = 2

    recovery.recover()

    assert {task.task_id for task in sent_tasks} == {folds[3].task_id, folds[2].task_id}


@pytest.mark.usefixtures("broker")
def test_a_result_that_a_restored_database_has_forgotten_is_made_again(
    exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    fold = sent_fold()
    exchange.cancel(fold.task_id)  # as the master left it when the result was saved

    recovery.recover()

    assert [task.task_id for task in sent_tasks] == [fold.task_id]
    assert not exchange.is_cancelled(fold.task_id)


def test_a_fold_that_was_just_sent_is_on_its_way(broker: dict[str, int], sent_tasks: list[SentTask]) -> None:
    sent_fold(sent_at=timezone.now())

    recovery.recover()

    assert sent_tasks == []


def test_while_the_broker_does_not_answer_nothing_is_taken_for_lost(
    monkeypatch: pytest.MonkeyPatch, sent_tasks: list[SentTask]
) -> None:
    monkeypatch.setattr(dispatch, "queue_depth", lambda _: None)
    sent_fold()

    recovery.recover()

    assert sent_tasks == []


@pytest.mark.usefixtures("broker")
def test_a_started_fold_with_neither_mark_nor_outcome_is_started_again(sent_tasks: list[SentTask]) -> None:
    fold = sent_fold(started_at=timezone.now() - HOUR, attempts=1, state=State.TRAINED)

    recovery.recover()

    fold.refresh_from_db()
    assert (fold.state, fold.attempts) == (State.TODO, 1)
    assert [task.message["attempt"] for task in sent_tasks] == [2]


def test_a_fold_that_its_runner_lost_is_tried_again(exchange: Exchange) -> None:
    fold = sent_fold()
    exchange.write_outcome(
        factories.make_outcome(fold, outcome=Outcome.LOST, log_messages="no data on the disk")
    )

    save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome, fold.attempts, fold.sent_at) == (State.TODO, "", 1, None)
    assert "no data on the disk" in fold.log_messages


def test_copies_of_a_finished_task_that_was_sent_twice_must_not_run(exchange: Exchange) -> None:
    once, twice = sent_fold(times_sent=1), sent_fold(times_sent=2)
    for fold in (once, twice):
        exchange.write_outcome(factories.make_outcome(fold))

    save_outcomes()

    assert not exchange.is_cancelled(once.task_id)
    assert exchange.is_cancelled(twice.task_id)


def test_a_stranger_s_file_for_a_running_fold_does_not_disturb_it(exchange: Exchange) -> None:
    fold = sent_fold()
    exchange.claim_mark(mark_of(fold))
    outcomes = exchange.folder / "outcomes"
    outcomes.mkdir()
    (outcomes / f"{fold.task_id}.json").write_bytes(b"garbage")

    save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.attempts, fold.log_messages) == (State.TODO, 0, "")
    assert exchange.has_mark(fold.task_id)


def test_looking_for_what_was_lost_costs_the_same_with_many_folds(
    broker: dict[str, int], django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    submission = factories.make_submission()
    for _ in range(60):
        factories.make_fold(submission, state=State.TESTED)

    with django_assert_max_num_queries(12):
        recovery.recover()


def test_the_master_must_look_more_often_than_leases_end(settings: Settings) -> None:
    from runapp.errors import ConfigurationError

    environment = Environment.read({"DR_LEASE_SECONDS": "10", "DR_RECOVER_SECONDS": "8"})
    with pytest.raises(ConfigurationError, match="DR_RECOVER_SECONDS"):
        _ = environment.recover_seconds


def test_raw_data_of_a_new_split_forgets_the_starts_of_the_former_one() -> None:
    raw_data = factories.make_raw_data(split_attempts=2, split_started_at=timezone.now())

    RawData.objects.ask_split(raw_data.pk, task_id="new", held_out_test=0.5, random_state=1)

    raw_data.refresh_from_db()
    assert (raw_data.split_attempts, raw_data.split_started_at) == (0, None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("watched", "broker")
def test_two_masters_at_the_same_moment_count_a_lost_start_once(
    exchange: Exchange, lease_seconds: int, sent_tasks: list[SentTask]
) -> None:
    folds = [sent_fold() for _ in range(5)]
    for fold in folds:
        exchange.claim_mark(mark_of(fold))
        age(exchange, fold.task_id, lease_seconds + 5)
    start = threading.Barrier(2)

    def look(_: int) -> None:
        start.wait(timeout=30)
        try:
            recovery.recover()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(look, range(2)))

    assert set(SubmissionFold.objects.values_list("attempts", flat=True)) == {1}
    assert {task.message["attempt"] for task in sent_tasks} == {2}
    assert {task.task_id for task in sent_tasks} == {fold.task_id for fold in folds}
