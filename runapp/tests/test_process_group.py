"""Processes that start, print and stop together."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runapp import process_group
from runapp.process_group import ProcessGroup
from test_files.processes import wait_until

_FOR_EVER = "import time; print('started', flush=True); time.sleep(600)"
_STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_FOR_EVER}"


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture(autouse=True)
def restore_signal_handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def group(tmp_path: Path, lines: list[str]) -> ProcessGroup:
    return ProcessGroup(tmp_path, lines.append)


def _nothing() -> None:
    pass


@pytest.fixture
def others() -> set[psutil.Process]:
    """Children of this process that were there before: those of other tests' runners."""
    return set(psutil.Process().children())


def test_each_line_says_which_process_printed_it(group: ProcessGroup, lines: list[str]) -> None:
    commands = {"web": _python("print('one'); print('no end', end='')")}

    group.run(commands, is_up=lambda: False, when_up=_nothing)

    assert lines == ["    web | one", "    web | no end"]


def test_the_first_that_ends_stops_the_others_and_is_named(
    group: ProcessGroup, lines: list[str], others: set[psutil.Process]
) -> None:
    def all_started() -> bool:
        return "runner | started" in " ".join(lines)

    commands = {"runner": _python(_FOR_EVER), "web": _python("import sys; sys.stdin.read(); sys.exit(3)")}

    ended = group.run(commands, is_up=all_started, when_up=_nothing)

    assert ended == "web"
    assert not set(psutil.Process().children()) - others


def test_a_signal_stops_all_and_blames_none(
    group: ProcessGroup, lines: list[str], others: set[psutil.Process]
) -> None:
    ended = group.run(
        {"runner": _python(_FOR_EVER)},
        is_up=lambda: any("started" in line for line in lines),
        when_up=lambda: os.kill(os.getpid(), signal.SIGTERM),
    )

    assert ended is None
    assert not set(psutil.Process().children()) - others


def test_one_that_does_not_stop_in_time_is_stopped_harder(
    group: ProcessGroup, lines: list[str], others: set[psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_group, "STOP_PHASES", ((signal.SIGTERM, 0.3), (signal.SIGKILL, 20.0)))

    group.run(
        {"runner": _python(_STUBBORN)},
        is_up=lambda: any("started" in line for line in lines),
        when_up=lambda: os.kill(os.getpid(), signal.SIGINT),
    )

    assert not set(psutil.Process().children()) - others


def test_a_process_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    starter_code = (
        "import subprocess, sys, time\n"
        "from runapp.parent_death import die_with_parent\n"
        "child = subprocess.Popen(['sleep', '600'], preexec_fn=die_with_parent())\n"
        f"open({str(place)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    starter = psutil.Popen([sys.executable, "-c", starter_code])
    wait_until(lambda: place.exists() and place.read_text(), seconds=30, what="the start of the child")

    starter.kill()
    starter.wait()

    pid = int(place.read_text())
    wait_until(lambda: not psutil.pid_exists(pid), seconds=10, what="the end of the child")
