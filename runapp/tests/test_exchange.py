"""The exchange folder: no task id leads out of it, and no reader sees half a file."""

import contextlib
import errno
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from runapp.contract import State
from runapp.errors import InvalidMessage
from runapp.exchange import Exchange, write_atomically
from runapp.messages import FoldMark

TASK_ID = "01234567-89ab-4def-8123-456789abcdef"
BY_TASK_ID: list[Callable[[Exchange, str], Any]] = [
    Exchange.has_outcome, Exchange.remove_mark, Exchange.cancel, Exchange.is_cancelled,
    Exchange.read_indices, Exchange.forget, lambda exchange, task_id: exchange.write_indices(task_id, "x"),
]  # fmt: skip
HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    f"../{TASK_ID}",
    f"{TASK_ID}/..",
    f"{TASK_ID}\n",
    TASK_ID.upper(),
]


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    exchange = Exchange(tmp_path / "shared" / "exchange")
    exchange.make()
    return exchange


@pytest.mark.parametrize("task_id", HOSTILE)
@pytest.mark.parametrize("call", BY_TASK_ID)
def test_a_hostile_task_id_is_refused(
    exchange: Exchange, call: Callable[[Exchange, str], Any], task_id: str
) -> None:
    with pytest.raises(InvalidMessage, match="not a task id"):
        call(exchange, task_id)
    assert exchange.read_mark(task_id) is None
    assert list(exchange.folder.iterdir()) == []


@given(st.text(st.characters(codec=None)) | st.text("0123456789abcdef-./\0", max_size=40))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_leads_out_of_the_folder(tmp_path: Path, task_id: str) -> None:
    exchange = Exchange(tmp_path / "shared" / "exchange")
    exchange.make()
    with contextlib.suppress(InvalidMessage):
        exchange.cancel(task_id)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]

    assert all(path.parent == exchange.folder / "cancelled" for path in written)
    assert all(uuid.UUID(path.name) for path in written)


def test_what_is_written_is_read(exchange: Exchange) -> None:
    mark = FoldMark(
        fold_id=1,
        task_id=TASK_ID,
        attempt=1,
        runner="r@h",
        holder="a process",
        state=State.TRAINED,
        started_at=1.5,
        trained_at=2.5,
    )
    assert exchange.marked_task_ids() == []
    exchange.write_mark(mark)
    exchange.write_indices(TASK_ID, "abc")
    exchange.cancel(TASK_ID)

    assert exchange.read_mark(TASK_ID) == mark
    assert exchange.marked_task_ids() == [TASK_ID]
    assert exchange.read_indices(TASK_ID) == "abc"
    assert exchange.is_cancelled(TASK_ID)
    exchange.forget(TASK_ID)
    assert exchange.marked_task_ids() == []
    assert exchange.is_cancelled(TASK_ID)


def test_an_empty_exchange_has_no_outcomes(exchange: Exchange) -> None:
    assert list(exchange.outcome_files()) == []
    assert not exchange.has_outcome(TASK_ID)


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_whole(tmp_path: Path, durable: bool) -> None:
    place = tmp_path / "file"
    for content in (b"first", b"second"):
        write_atomically(place, content, durable=durable)
        assert place.read_bytes() == content
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place = tmp_path / "file"
    write_atomically(place, b"older", durable=True)

    def disk_is_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, disk_is_full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(place, b"newer", durable=True)

    assert place.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("seconds_ahead", [0.5, -5.0])
def test_two_masters_that_look_at_once_have_both_watched_all_the_time(
    tmp_path: Path, seconds_ahead: float
) -> None:
    exchange = Exchange(tmp_path)
    _, since = exchange.watch(gap_seconds=10)
    other_looked_at = exchange.now() + seconds_ahead
    os.utime(tmp_path / "clock", (other_looked_at, other_looked_at))
    assert exchange.watch(gap_seconds=10)[1] == since


def test_a_master_that_was_away_has_watched_since_it_came_back(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.watch(gap_seconds=10)
    last_looked_at = exchange.now() - 11
    os.utime(tmp_path / "clock", (last_looked_at, last_looked_at))
    now, since = exchange.watch(gap_seconds=10)
    assert since == now
