"""Outcome files become rows: each is accepted once, and a fold never goes backwards."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from runapp.contract import Outcome, State
from runapp.exchange import Exchange
from runapp.messages import FoldMark
from runapp.models import RawData, SubmissionFold
from runapp.services import recovery, results
from runapp.tests import factories

pytestmark = pytest.mark.django_db


def make_mark(fold: SubmissionFold, state: State, **changes: Any) -> FoldMark:
    values: dict[str, Any] = {
        "fold_id": fold.pk, "task_id": fold.task_id, "attempt": 1, "runner": "runner@host", "state": state,
        "started_at": 1.7e9, "trained_at": None if state is State.TODO else 1.7e9 + 1,
    }  # fmt: skip
    values["holder"] = "a process"
    return FoldMark(**values | changes)


def test_an_outcome_becomes_the_result_of_its_fold(exchange: Exchange) -> None:
    fold = factories.make_fold()
    outcome = factories.make_outcome(fold, log_messages="printed")
    exchange.write_outcome(outcome)
    exchange.write_indices(fold.task_id, "x")
    exchange.write_mark(make_mark(fold, State.TRAINED))

    assert results.save_outcomes() == 1

    fold.refresh_from_db()
    assert (fold.state, fold.outcome, fold.log_messages) == ("TESTED", "ok", "printed")
    assert (fold.test_predictions, fold.test_predictions_shape) == (outcome.test_predictions, [3, 2])
    assert (fold.train_time, fold.train_memory, fold.runner) == (1.0, 2048.0, "runner@host")
    assert fold.tested_at == datetime.fromtimestamp(1.7e9 + 3, tz=UTC)
    assert fold.saved_at is not None
    left = [file for kind in ("outcomes", "indices", "marks") for file in (exchange.folder / kind).iterdir()]
    assert left == []


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.OK, Outcome.LOST}))
def test_every_way_to_fail_is_told(exchange: Exchange, outcome: Outcome) -> None:
    fold = factories.make_fold()
    exchange.write_outcome(factories.make_outcome(fold, outcome=outcome, log_messages="Traceback ..."))

    results.save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome, fold.log_messages) == ("ERROR", outcome.value, "Traceback ...")
    assert fold.test_predictions == ""


@pytest.mark.parametrize("state", [State.TESTED, State.ERROR])
def test_a_finished_fold_is_not_changed_by_a_further_outcome(exchange: Exchange, state: State) -> None:
    fold = factories.make_fold(state=state, log_messages="first")
    exchange.write_outcome(factories.make_outcome(fold, log_messages="second"))
    exchange.write_mark(make_mark(fold, State.TRAINED))

    before = SubmissionFold.objects.values().get()
    recovery.follow_marks()
    results.save_outcomes()

    assert SubmissionFold.objects.values().get() == before
    assert list(exchange.outcome_files()) == []


def test_the_outcome_of_an_unknown_fold_is_dropped(exchange: Exchange) -> None:
    fold = factories.make_fold()
    exchange.write_outcome(factories.make_outcome(fold, fold_id=4711))

    assert results.save_outcomes() == 1

    fold.refresh_from_db()
    assert fold.state == State.TODO
    assert list(exchange.outcome_files()) == []


def test_many_outcomes_are_saved_a_batch_a_commit(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "BATCH", 3)
    submission = factories.make_submission()
    for _ in range(7):
        exchange.write_outcome(factories.make_outcome(factories.make_fold(submission)))

    assert results.save_outcomes() == 7
    assert SubmissionFold.objects.filter(state=State.TESTED).count() == 7


def test_outcomes_stay_on_disk_until_the_database_has_them(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    def database_is_away(*_: object) -> None:
        raise OperationalError("server closed the connection")

    fold = factories.make_fold()
    exchange.write_outcome(factories.make_outcome(fold))
    with monkeypatch.context() as patch:
        patch.setattr("runapp.models.submission_fold.SubmissionFoldQuerySet.finish", database_is_away)
        with pytest.raises(OperationalError):
            results.save_outcomes()

    results.save_outcomes()

    fold.refresh_from_db()
    assert fold.state == State.TESTED


def test_a_saver_that_comes_second_passes_over_what_is_gone(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = factories.make_fold()
    exchange.write_outcome(factories.make_outcome(fold))
    (path,) = exchange.outcome_files()
    monkeypatch.setattr(Exchange, "outcome_files", lambda _: iter([path]))
    path.unlink()

    results.save_outcomes()

    fold.refresh_from_db()
    assert fold.state == State.TODO


def test_a_fold_that_ran_while_its_data_set_was_split_anew_keeps_its_result(exchange: Exchange) -> None:
    now = datetime.now(tz=UTC)
    fold = factories.make_fold(sent_at=now - timedelta(minutes=2))
    RawData.objects.update(n_train_rows=8, n_test_rows=1, split_sent_at=now - timedelta(minutes=1))
    exchange.write_outcome(factories.make_outcome(fold))

    results.save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.test_predictions_shape) == ("TESTED", [factories.N_TEST_ROWS, 2])


def test_a_file_that_cannot_be_removed_does_not_stop_the_others(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_is_read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    folds = [factories.make_fold() for _ in range(2)]
    for fold in folds:
        exchange.write_outcome(factories.make_outcome(fold))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", disk_is_read_only)
        results.save_outcomes()
    assert SubmissionFold.objects.filter(state=State.TESTED).count() == 2

    results.save_outcomes()

    assert list(exchange.outcome_files()) == []


def test_marks_show_how_far_a_fold_is(exchange: Exchange) -> None:
    fold = factories.make_fold()
    for state in (State.TODO, State.TRAINED, State.VALIDATED):
        exchange.write_mark(make_mark(fold, state))
        recovery.follow_marks()
        fold.refresh_from_db()
        assert fold.state == state

    assert fold.started_at == datetime.fromtimestamp(1.7e9, tz=UTC)
    assert fold.runner == "runner@host"


@pytest.mark.parametrize("state", [State.TODO, State.TRAINED])
def test_a_late_mark_takes_no_fold_back(exchange: Exchange, state: State) -> None:
    fold = factories.make_fold(state=State.VALIDATED)
    exchange.write_mark(make_mark(fold, state))

    recovery.follow_marks()

    fold.refresh_from_db()
    assert fold.state == State.VALIDATED


def test_the_mark_of_another_task_changes_nothing(exchange: Exchange) -> None:
    fold = factories.make_fold()
    exchange.write_mark(make_mark(fold, State.TRAINED, task_id="00000000-0000-4000-8000-000000000000"))

    assert recovery.follow_marks() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"state": State.TESTED}, {"state": State.ERROR}, {"started_at": 1e200}, {"trained_at": -1e20},
        {"fold_id": 2**80}, {"runner": "a\0b"}, {"runner": "\ud800"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("state", [State.TODO, State.TESTED])
def test_a_mark_that_makes_no_sense_does_not_stop_the_sweep(
    exchange: Exchange, state: State, changes: dict[str, Any]
) -> None:
    odd, good = factories.make_fold(state=state), factories.make_fold()
    exchange.write_mark(make_mark(odd, **{"state": State.TRAINED} | changes))
    exchange.write_mark(make_mark(good, State.TRAINED))

    recovery.recover()

    odd.refresh_from_db()
    good.refresh_from_db()
    assert good.state == State.TRAINED
    assert odd.state in (state, State.TRAINED)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"null"])
def test_a_mark_that_cannot_be_read_does_not_stop_the_sweep(exchange: Exchange, content: bytes) -> None:
    fold = factories.make_fold(sent_at=datetime.now(tz=UTC))
    exchange.write_mark(make_mark(fold, State.TODO))
    (path,) = (exchange.folder / "marks").iterdir()
    path.write_bytes(content)
    (path.parent / "no task id.json").write_bytes(b"{}")
    (path.parent / "00000000-0000-4000-8000-000000000000.json").mkdir()

    recovery.recover()

    fold.refresh_from_db()
    assert fold.state == State.TODO


def test_the_cost_of_a_sweep_does_not_grow_with_the_folds() -> None:
    counts = []
    for n_folds in (2, 40):
        submission = factories.make_submission()
        for _ in range(n_folds):
            factories.make_fold(submission, state=State.TESTED)
            factories.make_fold(submission, sent_at=datetime.now(tz=UTC))
        with CaptureQueriesContext(connection) as queries:
            recovery.recover()
        counts.append(len(queries))

    assert counts[0] == counts[1]
