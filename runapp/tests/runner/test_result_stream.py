"""What a reader of a fold's result makes of any bytes."""

import json
import os
import socket
import threading

import numpy as np
import pytest
from hypothesis import given, strategies as st

from runapp.contract import Outcome
from runapp.runner import result_stream
from runapp.runner.result_stream import (
    STAGE_TAKEN,
    Failed,
    FoldDone,
    InvalidResult,
    Message,
    ResultReader,
    ResultWriter,
    SplitDone,
    Stage,
)

N_ROWS = (3, 2)
STAGES = list(Stage)


def frame(header: object) -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(content).to_bytes(4, "big") + content


def stages(last: Stage = Stage.TESTED) -> bytes:
    return b"".join(frame({"stage": stage}) for stage in STAGES[: STAGES.index(last) + 1])


def read(content: bytes, n_rows: tuple[int, int] | None = N_ROWS) -> list[Message]:
    return list(ResultReader(n_rows).feed(content))


def written(n_rows: tuple[int, int]) -> bytes:
    """All bytes of a whole fold, as its process sends them."""
    reading, writing = os.pipe()
    writer = ResultWriter(writing)
    writer.fold_done(np.arange(2.0 * n_rows[0]).reshape(-1, 2), np.arange(float(n_rows[1])))
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        return stages() + stream.read()


@given(st.integers(min_value=1, max_value=40))
def test_a_result_is_the_same_however_it_is_cut_into_chunks(size: int) -> None:
    content = written(N_ROWS)
    reader = ResultReader(N_ROWS)
    messages = [m for i in range(0, len(content), size) for m in reader.feed(content[i : i + size])]
    assert messages[:4] == STAGES
    (done,) = messages[4:]
    assert isinstance(done, FoldDone)
    assert np.array_equal(done.full_train_predictions, np.arange(6.0).reshape(3, 2))
    assert np.array_equal(done.test_predictions, [0.0, 1.0])


@given(st.binary(max_size=200))
def test_no_bytes_but_a_result_become_one(content: bytes) -> None:
    try:
        messages = read(content)
    except InvalidResult:
        return
    assert messages == []


def test_a_fold_waits_after_each_stage_until_it_is_taken() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        went_on = threading.Event()

        def run() -> None:
            ResultWriter(theirs.fileno()).stage(Stage.LOADED)
            went_on.set()

        fold = threading.Thread(target=run)
        fold.start()
        assert read(ours.recv(1000)) == [Stage.LOADED]
        assert not went_on.is_set()
        ours.send(STAGE_TAKEN)
        fold.join(10)
        assert went_on.is_set()


def test_a_split_and_a_failure_come_through() -> None:
    assert read(frame({"outcome": "ok", "rows": [5, 2]}), None) == [SplitDone(5, 2)]
    assert read(frame({"outcome": "bad_output", "log": "why"})) == [Failed(Outcome.BAD_OUTPUT, "why")]


def test_nothing_is_read_after_the_end() -> None:
    end = frame({"outcome": "user_error", "log": "first"})
    assert read(end + end) == [Failed(Outcome.USER_ERROR, "first")]


@pytest.mark.parametrize(
    "content",
    [
        b"\x7f\xff\xff\xff",
        frame(b"\x80\x04]"),
        frame(b"[" * 100_000),
        frame([]),
        frame({}),
        frame({"stage": "trained"}),
        frame({"stage": "unknown"}),
        frame({"stage": "loaded", "more": 1}),
        frame({"outcome": "lost", "log": ""}),
        frame({"outcome": "cancelled", "log": ""}),
        frame({"outcome": "ok", "log": ""}),
        frame({"outcome": "user_error", "log": 3}),
        frame({"outcome": "ok", "rows": [1, 1]}),
        frame({"outcome": "ok", "shapes": [[3], [2]]}),
        stages() + frame({"stage": "tested"}),
        stages(Stage.VALIDATED) + frame({"outcome": "ok", "shapes": [[3], [2]]}),
        stages() + frame({"outcome": "ok", "shapes": [[3]]}),
        stages() + frame({"outcome": "ok", "shapes": [[3], [3]]}),
        stages() + frame({"outcome": "ok", "shapes": [[], [2]]}),
        stages() + frame({"outcome": "ok", "shapes": [[3, -1], [2]]}),
        stages() + frame({"outcome": "ok", "shapes": [[3, 0], [2]]}),
        stages() + frame({"outcome": "ok", "shapes": [[3, True], [2]]}),
        stages() + frame({"outcome": "ok", "shapes": [["3"], [2]]}),
        stages() + frame({"outcome": "ok", "shapes": [[3, 10**12], [2]]}),
        stages() + frame({"outcome": "ok", "shapes": [[3] + [1] * 8, [2]]}),
        stages() + frame({"outcome": "ok", "shapes": [[3], [2]]}) + b"\xff" * 40,
    ],
)
def test_everything_else_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidResult):
        read(content)


@pytest.mark.parametrize("rows", [[0, 1], [1, -1], [1, 1 << 60], [1], ["1", 1]])
def test_numbers_of_rows_that_no_split_has_are_refused(rows: list[object]) -> None:
    with pytest.raises(InvalidResult):
        read(frame({"outcome": "ok", "rows": rows}), None)


def test_a_split_has_no_stages() -> None:
    with pytest.raises(InvalidResult):
        read(stages(Stage.LOADED), None)


def test_a_long_log_is_cut_at_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_stream, "MAX_LOG_BYTES", 10)
    (failed,) = read(frame({"outcome": "user_error", "log": "a" * 50 + "the reason"}))
    assert isinstance(failed, Failed)
    assert failed.log == "the reason"
