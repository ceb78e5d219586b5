"""``runners/``, and the command that lists the same."""

import io
import os
import shutil
import time

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from runapp import dispatch
from runapp.services.runners import RUNNER_SECONDS
from runapp.tests import factories
from runapp.tests.api.conftest import Caller


@pytest.fixture
def two_runners(db: None) -> None:
    """One that is busy and weak, and one that was heard of last an hour ago."""
    exchange = dispatch.exchange()
    exchange.write_runner(
        factories.runner_mark(
            runner="busy@b",
            host="b",
            queues=("H", "L"),
            places=4,
            busy=3,
            isolation="partial",
            isolation_reason="a fold here can fork without end.",
            versions={"python": "3.11.7", "numpy": "2.4.6"},
        )
    )
    exchange.write_runner(factories.runner_mark(runner="gone@c", host="c"))
    hour_ago = time.time() - 3600
    os.utime(exchange.folder / "runners" / "gone@c.json", (hour_ago, hour_ago))


def listed() -> tuple[list[str], str]:
    """The lines that the command prints, and what it complains of."""
    output, complaints = io.StringIO(), io.StringIO()
    call_command("runners", stdout=output, stderr=complaints)
    return output.getvalue().splitlines(), complaints.getvalue()


@pytest.mark.usefixtures("two_runners")
def test_each_runner_is_listed_as_it_described_itself(api: Caller) -> None:
    answer = api.get("runners/")

    assert answer.status_code == 200
    busy, gone = answer.json()
    assert 0 <= busy.pop("silent_seconds") < RUNNER_SECONDS
    assert busy == {
        "runner": "busy@b", "host": "b", "queues": ["H", "L"], "places": 4, "free_places": 1, "refuses": "",
        "isolation": "partial", "isolation_reason": "a fold here can fork without end.",
        "versions": {"python": "3.11.7", "numpy": "2.4.6"}, "is_alive": True,
    }  # fmt: skip
    assert (gone["runner"], gone["is_alive"]) == ("gone@c", False)
    assert gone["silent_seconds"] == pytest.approx(3600, abs=60)


def test_without_runners_the_list_is_empty(api: Caller) -> None:
    assert api.get("runners/").json() == []


def test_the_root_leads_to_the_list(api: Caller) -> None:
    assert api.get("").json()["runners"].endswith("/runapp/runners/")


def test_a_stranger_does_not_see_the_runners(db: None, client: Client) -> None:
    assert client.get("/runapp/runners/").status_code == 401


def test_a_list_that_cannot_be_read_is_not_an_empty_one(api: Caller) -> None:
    shutil.rmtree(dispatch.exchange().folder)

    assert api.get("runners/").status_code == 503
    with pytest.raises(CommandError, match="the shared disk cannot be used"):
        listed()


@pytest.mark.usefixtures("two_runners")
def test_the_command_prints_a_line_for_each_that_is_up() -> None:
    lines, complaints = listed()

    assert lines == [
        "busy@b  host b  queues H,L  free 1/4  isolation partial  python 3.11.7 numpy 2.4.6"
        "  (a fold here can fork without end.)"
    ]
    assert complaints == ""


def test_the_command_says_that_no_runner_is_up(db: None) -> None:
    assert listed() == ([], "no runner is up\n")
