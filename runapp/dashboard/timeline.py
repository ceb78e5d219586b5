"""The life of a fold as parts of a bar: waiting, queued, training, validation, testing, saving."""

import dataclasses
import datetime
from collections.abc import Iterator

from runapp.contract import FINAL_STATES, State
from runapp.models import SubmissionFold

#: A bar is so many units wide, and a part of it at least so many.
BAR_UNITS = 1000.0
_LEAST_UNITS = 4.0

#: The parts of a fold's life, each with the time that ends it.
_PARTS = (
    ("to be sent", "tosend", "sent_at"),
    ("queued", "queued", "started_at"),
    ("training", "training", "trained_at"),
    ("validation", "validation", "validated_at"),
    ("testing", "testing", "tested_at"),
    ("saving", "saving", "saved_at"),
)
_STEPS = ("created_at", *(field for _, _, field in _PARTS))
_STEP_NAMES = ("posted", "sent", "started", "trained", "validated", "tested", "saved")


#: Kind and name of each part, for those who read a bar.
KEY = (*((kind, name) for name, kind, _ in _PARTS), ("failed", "until it failed"))


@dataclasses.dataclass(frozen=True)
class Part:
    """A stretch of a fold's life; ``x`` and ``width`` are units of its bar."""

    name: str
    kind: str
    seconds: float
    x: float
    width: float


@dataclasses.dataclass(frozen=True)
class Step:
    """Something that happened to a fold, when, and how long after what was before."""

    name: str
    at: datetime.datetime
    seconds: float | None


def total_seconds(fold: SubmissionFold, now: datetime.datetime) -> float:
    """From posting a fold until its result was saved, or until now."""
    return sum(seconds for _, _, seconds in _stretches(fold, now))


def parts(fold: SubmissionFold, now: datetime.datetime, *, scale_seconds: float) -> list[Part]:
    """The parts of a fold's bar, of which ``scale_seconds`` take the whole width."""
    found, x = [], 0.0
    scale = BAR_UNITS / max(scale_seconds, 1e-9)
    for name, kind, seconds in _stretches(fold, now):
        width = min(max(seconds * scale, _LEAST_UNITS), max(BAR_UNITS - x, _LEAST_UNITS))
        found.append(Part(name, kind, seconds, round(x, 1), round(width, 1)))
        x += width
    return found


def steps(fold: SubmissionFold) -> list[Step]:
    """What happened to a fold so far."""
    found: list[Step] = []
    for name, field in zip(_STEP_NAMES, _STEPS, strict=True):
        at = getattr(fold, field)
        if at is not None:
            before = found[-1].at if found else None
            found.append(Step(name, at, None if before is None else max((at - before).total_seconds(), 0.0)))
    return found


def _stretches(fold: SubmissionFold, now: datetime.datetime) -> Iterator[tuple[str, str, float]]:
    """Name, kind and seconds of each part. Times come from clocks that may differ: none is negative."""
    last = fold.created_at
    for name, kind, field in _PARTS:
        at = getattr(fold, field)
        if at is None and fold.state in FINAL_STATES:
            continue  # it never came to this
        end = now if at is None else at
        is_end_of_failure = field == "saved_at" and fold.state == State.ERROR
        yield (
            "until it failed" if is_end_of_failure else name,
            "failed" if is_end_of_failure else kind,
            max((end - last).total_seconds(), 0.0),
        )
        if at is None:
            return
        last = max(last, at)
