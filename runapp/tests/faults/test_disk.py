"""The shared disk full, read-only and gone, and files on it that are no outcomes, with folds in flight."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from runapp.contract import Outcome
from runapp.messages import FoldOutcome
from runapp.tests.faults import harm
from runapp.tests.faults.conftest import LEASE_SECONDS
from runapp.tests.faults.flight import Flight
from test_files.processes import wait_until
from test_files.stack import Stack

_REFUSES = "this runner takes no tasks"


@pytest.fixture
def disk(small_disk: Path | None) -> Path:
    if small_disk is None:
        pytest.skip("only root may mount a small disk")
    return small_disk


def _refusals(stack: Stack) -> list[int]:
    return [runner.log_since_start().count(_REFUSES) for runner in stack.runners]


def _wait_until_runners_refuse(stack: Stack, before: list[int]) -> None:
    """Wait until each runner has refused once more than before the harm."""

    def all_refuse() -> bool:
        return all(now > then for now, then in zip(_refusals(stack), before, strict=True))

    wait_until(all_refuse, seconds=60, what="the refusal of the runners")


def test_the_shared_disk_full(fly: Callable[..., Flight], harmed: Stack, disk: Path) -> None:
    flight = fly()
    before = _refusals(harmed)
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as stream:
        while True:
            try:
                stream.write(bytes(1 << 16))
            except OSError:
                break
    _wait_until_runners_refuse(harmed, before)
    _stays_so_for_a_lease()
    filler.unlink()
    flight.lands()


def test_the_shared_disk_read_only(fly: Callable[..., Flight], harmed: Stack, disk: Path) -> None:
    flight = fly()
    before = _refusals(harmed)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        _wait_until_runners_refuse(harmed, before)
        _stays_so_for_a_lease()
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    flight.lands()


def test_the_shared_disk_gone_for_a_while(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    before = _refusals(harmed)
    with harm.away(harmed.exchange_folder):
        _wait_until_runners_refuse(harmed, before)
        _stays_so_for_a_lease()
    flight.lands()


def _stays_so_for_a_lease() -> None:
    """The harm outlasts every lease: whoever looked at the leases alone would take all folds for lost."""
    until = time.monotonic() + 1.5 * LEASE_SECONDS
    wait_until(lambda: time.monotonic() > until, seconds=2 * LEASE_SECONDS, what="the end of all leases")


def _outcomes_folder(stack: Stack) -> Path:
    folder = stack.exchange_folder / "outcomes"
    folder.mkdir(exist_ok=True)
    return folder


def _running_task_id(stack: Stack) -> str:
    marks = stack.exchange_folder / "marks"
    wait_until(lambda: any(marks.glob("*.json")), seconds=30, what="the start of a fold")
    return next(marks.glob("*.json")).stem


def test_a_torn_outcome_file(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    (_outcomes_folder(harmed) / f"{_running_task_id(harmed)}.json").write_text(
        '{"version": 1, "kind": "fold_ou'
    )
    flight.lands()


def test_a_garbage_outcome_file(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    (_outcomes_folder(harmed) / f"{_running_task_id(harmed)}.json").write_bytes(bytes(range(256)) * 100)
    (_outcomes_folder(harmed) / "no task at all.json").write_bytes(b"\xff")
    flight.lands()


def test_a_foreign_outcome_file(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    foreign = FoldOutcome(
        fold_id=flight.submission.fold_ids[-1],
        task_id=str(uuid.uuid4()),
        attempt=1,
        outcome=Outcome.USER_ERROR,
        log_messages="forged",
        runner="nobody",
        isolation="none",
        started_at=0.0,
    )
    (_outcomes_folder(harmed) / f"{foreign.task_id}.json").write_text(json.dumps(foreign.to_message()))
    flight.lands()
