"""The lease of a task: one holder at a time, seen by its heartbeats, ended by the master."""

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from runapp.contract import State
from runapp.exchange import Exchange
from runapp.messages import FoldMark
from runapp.runner.holder import is_gone, this_process
from runapp.runner.lease import Lease, end_all_gone, end_if_gone
from test_files.processes import wait_until

LEASE_SECONDS = 0.3
TASK_ID = str(uuid.uuid4())


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    exchange = Exchange(tmp_path / ".datarun")
    exchange.make()
    return exchange


@pytest.fixture
def gone() -> str:
    """The name of a process of this host that has ended."""
    name = subprocess.run(
        [sys.executable, "-c", "from runapp.runner.holder import this_process; print(this_process())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return name.stdout.strip()


def mark(**changes: Any) -> FoldMark:
    values: dict[str, Any] = {
        "fold_id": 1, "task_id": TASK_ID, "attempt": 1, "runner": "runner@host", "holder": this_process(),
        "state": State.TODO, "started_at": 1.7e9,
    }  # fmt: skip
    return FoldMark(**values | changes)


def lease(exchange: Exchange, **changes: Any) -> Lease[FoldMark]:
    return Lease(exchange, mark(**changes), lease_seconds=LEASE_SECONDS)


def heartbeat(exchange: Exchange) -> int:
    return (exchange.folder / "marks" / f"{TASK_ID}.json").stat().st_mtime_ns


def test_a_task_has_one_holder(exchange: Exchange) -> None:
    assert lease(exchange).claim()
    assert not lease(exchange, holder="another").claim()
    found = exchange.read_mark(TASK_ID)
    assert found is not None
    assert found.holder == this_process()


def test_heartbeats_go_on_while_the_task_is_busy(exchange: Exchange) -> None:
    held = lease(exchange)
    assert held.claim()
    first = heartbeat(exchange)
    with held:
        wait_until(lambda: heartbeat(exchange) > first, seconds=10, what="a heartbeat")
        held.release()
    assert exchange.marked_task_ids() == []


def test_a_task_whose_lease_the_master_ended_stops_and_leaves_the_next_mark_alone(exchange: Exchange) -> None:
    held = lease(exchange)
    assert held.claim()
    exchange.remove_mark(TASK_ID)
    exchange.claim_mark(mark(holder="another", attempt=2))
    with held:
        wait_until(held.must_stop, seconds=10, what="the stop")
        held.release()
    found = exchange.read_mark(TASK_ID)
    assert found is not None
    assert (found.holder, found.attempt) == ("another", 2)


def test_a_cancelled_task_must_stop(exchange: Exchange) -> None:
    held = lease(exchange)
    assert held.claim()
    assert not held.must_stop()
    exchange.cancel(TASK_ID)
    assert held.must_stop()


def test_a_disk_that_is_gone_neither_ends_the_lease_nor_is_made_anew(exchange: Exchange) -> None:
    held = lease(exchange)
    assert held.claim()
    away = exchange.folder.with_name("away")
    exchange.folder.rename(away)
    held.note(state=State.TRAINED)
    assert not held.must_stop()
    assert not exchange.folder.exists()
    away.rename(exchange.folder)
    held.note(state=State.TRAINED)
    assert not held.lost
    found = exchange.read_mark(TASK_ID)
    assert isinstance(found, FoldMark)
    assert found.state is State.TRAINED


def test_a_process_that_must_end_hands_its_task_back(exchange: Exchange) -> None:
    held = lease(exchange)
    assert held.claim()
    with pytest.raises(SystemExit), held:
        raise SystemExit(1)
    found = exchange.read_mark(TASK_ID)
    assert found is not None
    assert (found.handed_back, bool(found.ended)) == (True, True)


def test_an_error_leaves_the_mark_for_the_master_to_find(exchange: Exchange) -> None:
    held = lease(exchange)
    assert held.claim()
    with pytest.raises(ValueError, match="a bug"), held:
        raise ValueError("a bug")
    found = exchange.read_mark(TASK_ID)
    assert found is not None
    assert found.ended == ""


def test_processes_that_live_or_run_elsewhere_are_not_known_to_be_gone(gone: str) -> None:
    assert not is_gone(this_process())
    assert not is_gone("another host|boot|1|2|3")
    assert not is_gone("")
    assert is_gone(gone)
    assert is_gone(this_process() + "0"), "the same number, started at another time, is another process"


def test_the_next_delivery_tells_that_the_process_of_a_mark_is_gone(exchange: Exchange, gone: str) -> None:
    exchange.claim_mark(mark(holder=gone))
    assert end_if_gone(exchange, TASK_ID)
    found = exchange.read_mark(TASK_ID)
    assert found is not None
    assert (bool(found.ended), found.handed_back) == (True, False)
    assert not end_if_gone(exchange, TASK_ID), "told once"


def test_the_next_delivery_leaves_a_live_holder_alone(exchange: Exchange) -> None:
    exchange.claim_mark(mark(holder=f"another host|boot|1|{os.getpid()}|3"))
    assert not end_if_gone(exchange, TASK_ID)
    found = exchange.read_mark(TASK_ID)
    assert found is not None
    assert found.ended == ""


def test_a_runner_tells_only_of_its_own_lost_tasks(exchange: Exchange, gone: str) -> None:
    ids = [str(uuid.uuid4()) for _ in range(3)]
    exchange.claim_mark(mark(task_id=ids[0], holder=gone))
    exchange.claim_mark(mark(task_id=ids[1]))
    exchange.claim_mark(mark(task_id=ids[2], holder=gone, runner="another@host"))
    assert end_all_gone(exchange, "runner@host", reason="killed") == (1, 1)
    ended = {task_id for task_id in ids if (found := exchange.read_mark(task_id)) and found.ended}
    assert ended == {ids[0]}
