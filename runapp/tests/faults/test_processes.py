"""Processes of datarun that are killed, and one that stands still, with folds in flight."""

import signal
import time
from collections.abc import Callable

import pytest

from runapp.tests.faults import harm
from runapp.tests.faults.conftest import LEASE_SECONDS
from runapp.tests.faults.flight import Flight, FlightPlan
from test_files.stack import Stack

#: The lease, the master's next look, and what a busy machine takes for them.
_DETECTION_SECONDS = LEASE_SECONDS + 2.0


def test_a_killed_fold(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly(FlightPlan(fit_seconds=0.2))
    harm.kill_a_fold(harmed)
    # Whoever kills it, a fold's own process that is killed is a crash of that fold, and of no other.
    flight.lands(may_crash=1)


@pytest.mark.parametrize("name", ["fold-server", "zygote"])
def test_a_killed_fold_server(fly: Callable[..., Flight], harmed: Stack, name: str) -> None:
    flight = fly()
    harm.running_mark(harmed, harmed.runners[0])
    harm.sandbox_process(harmed, name).kill()
    flight.lands()


def test_a_killed_pool_child(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    harm.kill_pool_child(harmed, harmed.runners[0])
    flight.lands()


def test_a_killed_runner(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly(FlightPlan(fit_seconds=0.2))
    mark = harm.running_mark(harmed, harmed.runners[0])
    harmed.runners[0].kill()
    flight.starts_again(mark, seconds=_DETECTION_SECONDS)
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
    flight = fly(FlightPlan(fit_seconds=0.2))
    mark = harm.running_mark(harmed, frozen)
    frozen.signal(signal.SIGSTOP)
    frozen_at = time.monotonic()
    flight.starts_again(mark, seconds=_DETECTION_SECONDS)
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
    harm.running_mark(harmed, harmed.runners[0])
    harmed.runners[0].stop()
    flight.lands()
