"""Processes of datarun that are killed, and one that stands still, with folds in flight."""

import signal
import time
from collections.abc import Callable

from runapp.tests.faults import harm
from runapp.tests.faults.conftest import LEASE_SECONDS
from runapp.tests.faults.flight import Flight
from test_files.processes import wait_until
from test_files.stack import Stack


def test_a_killed_pool_child(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    harm.kill_pool_child(harmed.runners[0])
    flight.lands()


def test_a_killed_runner(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    harmed.runners[0].kill()
    flight.lands()


def test_a_killed_runner_that_comes_back(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    harmed.runners[0].kill()
    harmed.runners[0].start()
    flight.lands()


def test_both_runners_killed_for_a_while(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    for runner in harmed.runners:
        runner.kill()
    for runner in harmed.runners:
        runner.start()
    flight.lands()


def test_a_runner_that_stands_still_beyond_its_lease(fly: Callable[..., Flight], harmed: Stack) -> None:
    frozen = harmed.runners[0]
    flight = fly()
    wait_until(lambda: harm.fold_processes(frozen), seconds=60, what="the start of a fold")
    marks = harmed.exchange_folder / "marks"
    frozen.signal(signal.SIGSTOP)
    name = "runner1@"
    [mark] = [path for path in marks.glob("*.json") if name in path.read_text()]
    frozen_mark = mark.read_text()
    frozen_at = time.monotonic()

    def went_on_elsewhere() -> bool:
        return not mark.exists() or mark.read_text() != frozen_mark

    wait_until(went_on_elsewhere, seconds=10 * LEASE_SECONDS, what="the end of the lease")
    assert time.monotonic() - frozen_at >= LEASE_SECONDS / 2, "a live lease was ended"
    flight.lands()
    frozen.signal(signal.SIGCONT)
    flight.lands()


def test_a_killed_master_worker(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    harmed.master.kill()
    harmed.master.start()
    flight.lands()


def test_a_killed_beat(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    harmed.beat.kill()
    harmed.beat.start()
    flight.lands()


def test_a_beat_that_is_away_all_the_time(fly: Callable[..., Flight], harmed: Stack) -> None:
    harmed.beat.kill()
    flight = fly()
    flight.lands()


def test_a_killed_gunicorn(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    harmed.web.kill()
    harmed.web.start()
    harmed.web.wait_until_ready()
    flight.lands()


def test_a_runner_that_is_stopped_in_order(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    wait_until(lambda: harm.fold_processes(harmed.runners[0]), seconds=60, what="the start of a fold")
    harmed.runners[0].stop()
    flight.lands()
