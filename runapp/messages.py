"""The messages between master and runners. No Django, no database.

A ``FoldTask`` or ``SplitTask`` travels through the broker to a runner; a ``FoldOutcome`` or
``SplitOutcome`` comes back as one JSON file on the shared disk. Both ends read what they get as
untrusted data: ``from_message`` checks every field's type and raises ``InvalidMessage``.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from runapp.contract import Outcome, State
from runapp.errors import InvalidMessage

#: Version of the messages below. A runner refuses a message of another version.
PROTOCOL_VERSION = 1

#: Encoded indices longer than this many characters travel by the shared disk, not by the broker.
INLINE_INDICES_CHARS = 64 * 1024


def _fits(value: object, annotation: Any) -> bool:
    """Whether ``value`` is what a JSON document may hold for a field annotated so."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, part) for part in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(part, arguments[0]) for part in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(part, arguments[1]) for part in value.values())
    if _is_enum(annotation):
        return isinstance(value, str) and value in set(annotation)
    if annotation is float:
        # Infinity and NaN pass json.loads; no time or amount of memory is one of them.
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


class _Message:
    """A frozen dataclass that travels as a JSON object."""

    kind: typing.ClassVar[str]

    def to_message(self) -> dict[str, Any]:
        """The JSON object that carries this message."""
        body = dataclasses.asdict(self)  # type: ignore[call-overload]
        return {"version": PROTOCOL_VERSION, "kind": self.kind, **body}

    @classmethod
    def from_message(cls, message: object) -> Self:
        """Read a message from decoded JSON.

        Raises
        ------
        InvalidMessage
            If a field is missing, unknown, or not of its type.
        """
        if not isinstance(message, Mapping):
            raise InvalidMessage(f"a {cls.kind} must be a JSON object")
        body = dict(message)
        version, kind = body.pop("version", None), body.pop("kind", None)
        if version != PROTOCOL_VERSION or kind != cls.kind:
            raise InvalidMessage(
                f"expected a {cls.kind} of version {PROTOCOL_VERSION}, got {kind!r} of version {version!r}: "
                "do master and runner run the same release?"
            )
        hints = _hints(cls)  # type: ignore[arg-type]  # classes are hashable
        names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if body.keys() != names:
            odd = ", ".join(sorted(map(str, body.keys() ^ names)))
            raise InvalidMessage(f"a {cls.kind} has missing or unknown fields: {odd}")
        for name, value in body.items():
            if isinstance(value, list):
                body[name] = tuple(value)
            if not _fits(body[name], hints[name]):
                raise InvalidMessage(f"the field {name} of a {cls.kind} is not of its type")
            enum = next((t for t in (hints[name], *typing.get_args(hints[name])) if _is_enum(t)), None)
            if enum is not None and value is not None:
                body[name] = enum(value)
        return cls(**body)


@functools.cache
def _hints(message_class: type[_Message]) -> dict[str, Any]:
    return typing.get_type_hints(message_class)


def _is_enum(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, StrEnum)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldTask(_Message):
    """What a runner needs to train and test one fold."""

    kind: typing.ClassVar[str] = "fold_task"

    fold_id: int
    #: Fresh for each time the fold is asked for; an outcome is accepted for the current one only.
    task_id: str
    #: 1 for the first start, at most ``MAX_ATTEMPTS``.
    attempt: int
    #: Folder of the split data, relative to ``DIR_DATA``. Its content never changes.
    data_folder: str
    custom: bool
    workflow_elements: tuple[str, ...]
    target_column: str
    n_train_rows: int
    n_test_rows: int
    #: Folder of the submission's files, relative to ``DIR_SUBMISSION``, and the hash of what lies in it.
    submission_folder: str
    submission_hash: str
    #: Encoded training indices, or None where they lie in the fold's indices file on the shared disk.
    train_is: str | None
    #: Limits of the data set, which lower those of the runner; None where it has none of its own.
    max_fold_seconds: int | None = None
    max_memory_mb: int | None = None
    max_output_mb: int | None = None
    max_scratch_mb: int | None = None
    max_processes: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitTask(_Message):
    """What a runner needs to split a data set into train and test."""

    kind: typing.ClassVar[str] = "split_task"

    raw_data_id: int
    task_id: str
    #: 1 for the first start, at most ``MAX_ATTEMPTS``.
    attempt: int
    custom: bool
    #: Folder of the uploaded files, and the folder to make with the split data, relative to ``DIR_DATA``.
    source_folder: str
    split_folder: str
    #: Name of the CSV file within ``source_folder``; None for a custom data set.
    data_file: str | None
    target_column: str
    workflow_elements: tuple[str, ...]
    held_out_test: float | None
    random_state: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldOutcome(_Message):
    """What became of a fold: the content of ``<task_id>.json`` on the shared disk.

    Times of the clock are seconds since the epoch, durations are seconds, memory is kB.
    Predictions are encoded as the API hands them out, and None unless ``outcome`` is ``ok``.
    """

    kind: typing.ClassVar[str] = "fold_outcome"

    fold_id: int
    task_id: str
    attempt: int
    outcome: Outcome
    log_messages: str
    #: Node name of the Celery worker that ran the fold.
    runner: str
    #: Level of isolation at which the fold ran.
    isolation: str
    started_at: float
    trained_at: float | None = None
    validated_at: float | None = None
    tested_at: float | None = None
    train_time: float = 0.0
    validation_time: float = 0.0
    test_time: float = 0.0
    train_cpu_time: float = 0.0
    test_cpu_time: float = 0.0
    train_memory: float = 0.0
    test_memory: float = 0.0
    full_train_predictions: str | None = None
    full_train_predictions_shape: tuple[int, ...] | None = None
    test_predictions: str | None = None
    test_predictions_shape: tuple[int, ...] | None = None

    @property
    def state(self) -> State:
        return State.TESTED if self.outcome is Outcome.OK else State.ERROR


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitOutcome(_Message):
    """What became of a split: the content of ``<task_id>.json`` on the shared disk."""

    kind: typing.ClassVar[str] = "split_outcome"

    raw_data_id: int
    task_id: str
    ok: bool
    log_messages: str
    runner: str
    n_train_rows: int | None = None
    n_test_rows: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Mark(_Message):
    """Sign of life of a running task: ``<task_id>.json`` among the marks, written by its runner.

    It is the task's lease: while it is there nobody else starts the task, and only the master ends
    another's. The file's modification time, by the clock of the disk, is the last heartbeat.
    """

    task_id: str
    attempt: int
    #: Node name of the Celery worker.
    runner: str
    #: The process that runs the task, as ``runapp.runner.lease`` names processes.
    holder: str
    started_at: float
    #: Why the task's process is known to be gone; empty while it runs.
    ended: str = ""
    #: Whether it was given back in order by a runner that stops; such a start is not counted.
    handed_back: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldMark(_Mark):
    """Sign of life of a running fold, rewritten at each step."""

    kind: typing.ClassVar[str] = "fold_mark"

    fold_id: int
    state: State
    trained_at: float | None = None
    validated_at: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitMark(_Mark):
    """Sign of life of a running split."""

    kind: typing.ClassVar[str] = "split_mark"

    raw_data_id: int


Mark = FoldMark | SplitMark


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunnerMark(_Message):
    """What a runner says of itself: ``<runner>.json`` among the runners, rewritten every few seconds."""

    kind: typing.ClassVar[str] = "runner_mark"

    #: Node name of the Celery worker, and the host's own name.
    runner: str
    host: str
    queues: tuple[str, ...]
    #: How many folds and splits it runs at a time, and how many of these places are taken.
    places: int
    busy: int
    #: Why it takes no tasks at present; empty while it takes them.
    refuses: str
    #: Level at which it isolates folds, and what is missing to the level ``full``; empty at that level.
    isolation: str
    isolation_reason: str
    #: Versions of datarun, Python and the libraries that folds use, by name.
    versions: dict[str, str]
    #: The host's own clock when this was written, seconds since the epoch.
    clock: float
