"""The first page, and the page of the runners."""

import datetime
import re
from typing import Any

import pytest
from django.utils import timezone

from runapp import dispatch
from runapp.contract import Outcome, Priority, SplitState, State
from runapp.templatetags.datarun import NOTHING
from runapp.tests import factories
from runapp.tests.dashboard.conftest import Reader

pytestmark = pytest.mark.django_db


def _ago(**amount: float) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(**amount)


def _row(page: str, heading: str) -> str:
    """The words of the table row with this heading."""
    found = re.search(rf"<tr>\s*<th scope=\"row\">(?:(?!</tr>).)*{heading}.*?</tr>", page, re.DOTALL)
    assert found, f"there is no row {heading}"
    return " ".join(re.sub(r"<[^>]*>", " ", found[0]).split())


def test_the_folds_are_counted_by_state(staff: Reader) -> None:
    for state, n_folds in ((State.TODO, 3), (State.TRAINED, 2), (State.TESTED, 4), (State.ERROR, 1)):
        for _ in range(n_folds):
            factories.make_fold(state=state)

    page = staff.text("/")

    assert re.findall(r"<strong>(\d+)</strong><span>(\w+)</span>", page) == [
        ("3", "TODO"), ("2", "TRAINED"), ("0", "VALIDATED"), ("4", "TESTED"), ("1", "ERROR"),
    ]  # fmt: skip


def test_a_submitter_sees_what_concerns_them_alone(ada: Reader, eve: Reader) -> None:
    own = factories.make_submission(owner=ada.user)
    factories.make_fold(own, state=State.ERROR, log_messages="ValueError: mine", saved_at=timezone.now())

    assert "ValueError: mine" in ada.text("/")
    assert "ValueError: mine" not in eve.text("/")
    assert "<strong>0</strong><span>ERROR</span>" in eve.text("/")


def test_a_queue_tells_how_much_waits_and_for_how_long(
    staff: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.make_fold(sent_at=_ago(minutes=5), priority=Priority.HIGH)
    factories.make_fold(sent_at=_ago(minutes=2), priority=Priority.HIGH)
    factories.make_fold()  # to be sent
    factories.make_fold(sent_at=_ago(hours=9), started_at=_ago(hours=8))  # no longer waits
    factories.make_raw_data(SplitState.TODO, split_sent_at=_ago(seconds=90))
    monkeypatch.setattr(dispatch, "queue_depth", lambda _: dispatch.QueueDepth(2, 1))

    page = staff.text("/")

    assert _row(page, "H ") == "H folds of high priority 2 2 5 min none"
    assert _row(page, "L ") == f"L folds 0 + 1 to be sent 2 {NOTHING} none"
    assert _row(page, "celery ") == "celery splits of data sets 1 2 2 min none"


def test_a_broker_that_does_not_answer_is_said(staff: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "queue_depth", lambda _: None)

    assert _row(staff.text("/"), "H ").split()[-4:] == ["no", "answer", NOTHING, "none"]


def test_the_runners_tell_their_places_isolation_and_last_sign_of_life(staff: Reader) -> None:
    exchange = dispatch.exchange()
    exchange.write_runner(factories.runner_mark(runner="first@host", busy=1))
    exchange.write_runner(
        factories.runner_mark(
            runner="second@host", refuses="drained", isolation="none", isolation_reason="no namespaces"
        )
    )

    for path in ("/", "/runners/"):
        page = staff.text(path)
        first = _row(page, "first@host")
        assert first.startswith("first@host working 1 of 2")
        assert re.search(r" full (0 s|\d+ ms|\d\.\d s) ago$", first)
        assert "takes nothing drained 1 of 2" in _row(page, "second@host")
        assert "none no namespaces" in _row(page, "second@host")
    assert "python 3.11.2" in staff.text("/runners/")


def test_a_runner_that_says_nothing_for_a_while_is_silent(
    staff: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch.exchange().write_runner(factories.runner_mark(runner="first@host"))
    monkeypatch.setattr("runapp.services.runners.RUNNER_SECONDS", -1.0)

    assert "first@host silent" in _row(staff.text("/"), "first@host")


def test_what_runs_is_shown_with_its_runner(staff: Reader) -> None:
    fold = factories.make_fold(state=State.TRAINED, started_at=_ago(minutes=3), runner="first@host")

    row = _row(staff.text("/"), f"{fold.pk}</a>")

    assert row.endswith("TRAINED validating first@host 3 min")


def test_the_latest_failures_come_with_their_reason_and_without_cancelled_ones(staff: Reader) -> None:
    log = 'Traceback:\n  File "classifier.py"\nValueError: too few rows\n\nThe end of what it printed:\nnoise'
    failed = factories.make_fold(
        state=State.ERROR, outcome=Outcome.BAD_OUTPUT, log_messages=log, saved_at=_ago(minutes=4)
    )
    cancelled = factories.make_fold(state=State.ERROR, outcome=Outcome.CANCELLED, saved_at=timezone.now())
    factories.make_raw_data(SplitState.ERROR, name="wine", split_log="KeyError: 'colour'")

    page = staff.text("/")

    assert "bad output ValueError: too few rows" in _row(page, f"Fold {failed.pk}")
    assert f"Fold {cancelled.pk}" not in page
    assert "split failed KeyError: &#x27;colour&#x27; wine" in _row(page, "Split")


def test_the_last_hours_are_a_table_that_the_chart_is_drawn_from(staff: Reader) -> None:
    at = _ago(minutes=30)
    times: dict[str, Any] = {
        "created_at": at - datetime.timedelta(seconds=9),
        "started_at": at - datetime.timedelta(seconds=5),
    }
    for train_time in (1.0, 2.0):
        factories.make_fold(state=State.TESTED, saved_at=at, train_time=train_time, **times)
    factories.make_fold(state=State.ERROR, saved_at=at, **times)
    factories.make_fold(state=State.TESTED, saved_at=_ago(days=2))

    page = staff.text("/")

    begin = at.replace(minute=at.minute // 10 * 10).strftime("%H:%M")
    assert _row(page, f">{begin}<") == f"{begin} 2 1 4.00 1.50"
    assert page.count('<tr><th scope="row"><time') == 36


def test_an_empty_datarun_says_what_to_do_first(staff: Reader) -> None:
    page = staff.text("/")

    assert "No data set was sent yet" in page
    assert "No fold was posted yet" in page
    assert "celery -A datarun worker" in page


def test_the_first_steps_are_gone_once_there_is_a_fold(staff: Reader) -> None:
    factories.make_fold()

    assert "First steps" not in staff.text("/")


def test_a_shared_disk_that_is_gone_does_not_take_the_page_along(
    staff: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> float:
        raise OSError("gone")

    monkeypatch.setattr(dispatch.exchange(), "now", gone)

    assert "There is no runner" in staff.text("/")
