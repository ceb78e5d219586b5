"""``manage.py doctor``, ``drain``, ``resume`` and ``forget``: one line each, and what to do."""

import io
import os
import time
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from runapp import dispatch
from runapp.errors import DatarunError
from runapp.exchange import Exchange
from runapp.services import health
from runapp.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "queue_depth", lambda _: dispatch.QueueDepth(0, 1))
    monkeypatch.setattr(dispatch, "results_answer", lambda: "Redis, answers")


@pytest.fixture
def beat(exchange: Exchange) -> None:
    exchange.watch(gap_seconds=60)


def runner(exchange: Exchange, **changes: Any) -> None:
    exchange.write_runner(factories.runner_mark(**changes))


def fall_silent(exchange: Exchange, *, seconds: float = 600) -> None:
    """Have all runners have said their last word long ago."""
    for place in (exchange.folder / "runners").iterdir():
        then = place.stat().st_mtime - seconds
        os.utime(place, (then, then))


def doctor() -> tuple[str, bool]:
    """What the doctor printed, and whether all is well."""
    out = io.StringIO()
    try:
        call_command("doctor", "--no-canary", stdout=out, no_color=True)
    except CommandError:
        return out.getvalue(), False
    return out.getvalue(), True


@pytest.mark.usefixtures("broker", "beat")
def test_where_all_is_well_the_doctor_says_so(exchange: Exchange) -> None:
    runner(exchange)
    text, well = doctor()
    assert well, text
    assert "ok    runner runner@host: 1 of 2 places busy" in text


@pytest.mark.parametrize(
    ("changes", "finding", "remedy"),
    [
        ({"refuses": "host is drained"}, "takes no tasks: host is drained", "manage.py resume host"),
        ({"refuses": "the shared disk is full"}, "the shared disk is full", "see its shared disk"),
        ({"clock": time.time() + 3600}, "its clock is +", "synchronise the clocks"),
    ],
)
@pytest.mark.usefixtures("broker", "beat")
def test_a_runner_that_is_not_well_is_named_with_the_remedy(
    exchange: Exchange, changes: dict[str, Any], finding: str, remedy: str
) -> None:
    runner(exchange, **changes)
    text, well = doctor()
    assert not well
    assert finding in text
    assert remedy in text


@pytest.mark.usefixtures("broker", "beat")
def test_a_silent_runner_is_not_there(exchange: Exchange) -> None:
    runner(exchange)
    fall_silent(exchange)
    text, well = doctor()
    assert not well
    assert "runners: there is none" in text
    assert "silent for 600 s" in text
    assert "manage.py forget host" in text


@pytest.mark.usefixtures("broker")
def test_a_beat_that_never_was_and_one_that_stopped_are_told(exchange: Exchange) -> None:
    assert health.beat().detail == "the master's worker was never asked to look"
    exchange.watch(gap_seconds=60)
    assert health.beat().is_well
    clock = exchange.folder / "clock"
    then = clock.stat().st_mtime - 3600
    os.utime(clock, (then, then))
    finding = health.beat()
    assert "looked 3600 s ago" in finding.detail
    assert "celery beat" in finding.remedy


def test_queues_that_nobody_takes_are_told(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "queue_depth", lambda _: dispatch.QueueDepth(5, 0))
    runner(exchange, queues=("L", "celery"))
    found = {finding.name: finding for finding in health.queues()}
    assert found["queue L"].is_well
    assert found["queue H"].remedy == "start a worker with -Q H"


def test_services_that_are_away_are_told_and_the_canary_is_not_tried(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> str:
        raise dispatch.ResultsAway("Redis does not answer: refused")

    monkeypatch.setattr(dispatch, "queue_depth", lambda _: None)
    monkeypatch.setattr(dispatch, "results_answer", away)
    out = io.StringIO()
    with pytest.raises(CommandError, match="are not well"):
        call_command("doctor", stdout=out, no_color=True)
    for line in ("WRONG broker: does not answer", "WRONG results: Redis", "WRONG canary fold: not tried"):
        assert line in out.getvalue()


def test_a_host_is_drained_and_resumed(exchange: Exchange) -> None:
    runner(exchange)
    out = io.StringIO()
    call_command("drain", "host", stdout=out)
    assert out.getvalue() == "host takes no more tasks; 1 run there\n"
    assert exchange.is_drained("host")
    call_command("resume", "host", stdout=out)
    assert not exchange.is_drained("host")
    with pytest.raises(CommandError, match="was not drained"):
        call_command("resume", "host")


@pytest.mark.usefixtures("broker", "beat")
def test_a_host_that_is_gone_for_good_is_forgotten_with_its_drain(exchange: Exchange) -> None:
    for name in ("first@gone", "second@gone"):
        runner(exchange, runner=name, host="gone")
    exchange.drain("gone")
    fall_silent(exchange)
    runner(exchange)
    out = io.StringIO()
    call_command("forget", "gone", stdout=out)
    assert out.getvalue() == "forgotten: first@gone second@gone\n"
    assert not exchange.is_drained("gone")
    text, well = doctor()
    assert well, text
    assert "runner@host" in text


def test_a_host_that_is_up_or_unknown_is_not_forgotten(exchange: Exchange) -> None:
    runner(exchange)
    exchange.drain("host")
    with pytest.raises(CommandError, match="runner@host was up 0 s ago: stop it"):
        call_command("forget", "host")
    assert [mark.runner for mark, _ in exchange.runners()] == ["runner@host"]
    assert exchange.is_drained("host")
    with pytest.raises(CommandError, match="no runner of elsewhere is known"):
        call_command("forget", "elsewhere")


def test_a_host_that_was_drained_and_never_came_is_forgotten(exchange: Exchange) -> None:
    exchange.drain("host")
    out = io.StringIO()
    call_command("forget", "host", stdout=out)
    assert out.getvalue() == "forgotten: that host was drained\n"
    assert not exchange.is_drained("host")


@pytest.mark.parametrize("command", ["drain", "resume", "forget"])
@pytest.mark.parametrize("host", ["", "..", "../x", "a/b", ".hidden", "x" * 300])
def test_no_name_of_a_host_leads_out_of_its_folder(exchange: Exchange, command: str, host: str) -> None:
    with pytest.raises(CommandError, match="is not the name"):
        call_command(command, host)
    with pytest.raises(DatarunError):
        exchange.is_drained(host)
