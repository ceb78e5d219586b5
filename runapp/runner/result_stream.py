"""How a fold's result leaves its process: frames of a JSON header and raw float64 bytes on a socket.

    frame   := length of the header (4 bytes, big-endian) | header (JSON, UTF-8) | numbers
    header  := {"stage": stage}
             | {"outcome": "ok", "shapes": [shape, shape]}     followed by the numbers of both predictions
             | {"outcome": "ok", "rows": [n_train, n_test]}
             | {"outcome": outcome, "log": text}

After each stage the fold waits for one byte: meanwhile its measures are read from outside.
Nothing in it is trusted: the reader holds every length against what the job allows before it keeps a
byte, and nothing is ever unpickled.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from runapp.contract import MAX_PREDICTIONS, Outcome
from runapp.errors import DatarunError
from runapp.runner.job import MAX_LOG_BYTES

Predictions = npt.NDArray[np.float64]

#: The answer to a stage, upon which the fold goes on.
STAGE_TAKEN = b"\n"

_LENGTH_BYTES = 4
_FLOAT64_BYTES = 8
_MAX_DIMENSIONS = 8
#: A log of control characters grows sixfold in JSON.
_MAX_HEADER_BYTES = 8 * MAX_LOG_BYTES
_MAX_COUNT = 1 << 53

#: What a fold or split may say of itself; the other outcomes are for its launcher to find.
_CLAIMABLE = frozenset({Outcome.USER_ERROR, Outcome.BAD_OUTPUT, Outcome.DATA_ERROR, Outcome.MEMORY})


class InvalidResult(DatarunError):
    """What came out of a fold's process is not a result."""

    code = "invalid_result"


class Stage(StrEnum):
    """How far a fold is, in this order."""

    LOADED = "loaded"
    TRAINED = "trained"
    VALIDATED = "validated"
    TESTED = "tested"


@dataclasses.dataclass(frozen=True)
class Failed:
    """The fold or split failed in its own words."""

    outcome: Outcome
    log: str


@dataclasses.dataclass(frozen=True)
class FoldDone:
    """Both predictions: finite, shape (n_rows, ...), dtype float64."""

    full_train_predictions: Predictions
    test_predictions: Predictions


@dataclasses.dataclass(frozen=True)
class SplitDone:
    n_train_rows: int
    n_test_rows: int


Message = Stage | Failed | FoldDone | SplitDone


class ResultWriter:
    """The end of the stream inside the fold's process; blocks while nobody reads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def stage(self, stage: Stage) -> None:
        self._write({"stage": stage})
        os.read(self._descriptor, len(STAGE_TAKEN))

    def failed(self, outcome: Outcome, log: str) -> None:
        self._write({"outcome": outcome, "log": log})

    def fold_done(self, full_train_predictions: Predictions, test_predictions: Predictions) -> None:
        arrays = [np.ascontiguousarray(a, dtype="<f8") for a in (full_train_predictions, test_predictions)]
        self._write({"outcome": Outcome.OK, "shapes": [array.shape for array in arrays]}, *arrays)

    def split_done(self, n_train_rows: int, n_test_rows: int) -> None:
        self._write({"outcome": Outcome.OK, "rows": [n_train_rows, n_test_rows]})

    def _write(self, header: dict[str, Any], *arrays: Predictions) -> None:
        encoded = json.dumps(header).encode()
        self._write_all(memoryview(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded))
        for array in arrays:
            self._write_all(array.data.cast("B"))

    def _write_all(self, content: memoryview) -> None:
        while content:
            content = content[os.write(self._descriptor, content) :]


class ResultReader:
    """The end of the stream outside: turns chunks of bytes into messages and refuses everything else.

    Parameters
    ----------
    n_rows:
        Rows of the training set and of the test set that the predictions must have; None for a split.
    """

    def __init__(self, n_rows: tuple[int, int] | None) -> None:
        self._n_rows = n_rows
        self._stages = iter(Stage if n_rows else ())
        self._buffer = bytearray()
        self._shapes: list[tuple[int, ...]] | None = None
        self._over = False

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """The messages that are complete with ``chunk``; nothing after the one that ends the stream.

        Raises
        ------
        InvalidResult
            As soon as the bytes cannot become a valid result.
        """
        self._buffer += chunk
        while not self._over and (message := self._next()) is not None:
            self._over = not isinstance(message, Stage)
            yield message

    def _next(self) -> Message | None:
        if self._shapes is None:
            header = self._take_header()
            if header is None:
                return None
            message = self._read_header(header)
            if message is not None:
                return message
        return self._take_predictions()

    def _take_header(self) -> dict[str, Any] | None:
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        end = _LENGTH_BYTES + int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        if end > _LENGTH_BYTES + _MAX_HEADER_BYTES:
            raise InvalidResult("the header is too long")
        if len(self._buffer) < end:
            return None
        content = bytes(self._buffer[_LENGTH_BYTES:end])
        del self._buffer[:end]
        try:
            header = json.loads(content)
        except (ValueError, RecursionError):
            raise InvalidResult("the header is not JSON") from None
        if not isinstance(header, dict):
            raise InvalidResult("the header is not a JSON object")
        return header

    def _read_header(self, header: dict[str, Any]) -> Message | None:
        """The message that the header is, or None for the head of predictions."""
        match header:
            case {"stage": str(stage), **rest} if not rest:
                if stage != next(self._stages, None):
                    raise InvalidResult(f"the stage {stage[:20]!r} is not the next one")
                return Stage(stage)
            case {"outcome": str(outcome), "log": str(log), **rest} if not rest and outcome in _CLAIMABLE:
                return Failed(Outcome(outcome), log[-MAX_LOG_BYTES:])
            case {"outcome": Outcome.OK, "rows": [int(n_train), int(n_test)], **rest} if not rest:
                if self._n_rows is None and 0 < n_train < _MAX_COUNT and 0 < n_test < _MAX_COUNT:
                    return SplitDone(int(n_train), int(n_test))
            case {"outcome": Outcome.OK, "shapes": [list(first), list(second)], **rest} if not rest:
                self._expect_predictions([first, second])
                return None
        raise InvalidResult("the header is not one of a result")

    def _expect_predictions(self, shapes: list[list[Any]]) -> None:
        if self._n_rows is None or next(self._stages, None) is not None:
            raise InvalidResult("predictions before the fold was tested")
        for shape, n_rows in zip(shapes, self._n_rows, strict=True):
            plain = all(type(length) is int and length > 0 for length in shape)
            if not plain or not 0 < len(shape) <= _MAX_DIMENSIONS or shape[0] != n_rows:
                raise InvalidResult(f"predictions of another shape than ({n_rows}, ...)")
            if math.prod(shape) > MAX_PREDICTIONS:
                raise InvalidResult(f"more than {MAX_PREDICTIONS} predictions")
        self._shapes = [tuple(shape) for shape in shapes]

    def _take_predictions(self) -> FoldDone | None:
        shapes = self._shapes or []
        sizes = [math.prod(shape) * _FLOAT64_BYTES for shape in shapes]
        if len(self._buffer) < sum(sizes):
            return None
        content = bytes(self._buffer[: sum(sizes)])
        first = np.frombuffer(content[: sizes[0]], dtype="<f8").reshape(shapes[0])
        second = np.frombuffer(content[sizes[0] :], dtype="<f8").reshape(shapes[1])
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            raise InvalidResult("predictions that are not finite")
        return FoldDone(first, second)
