"""Results: outcome files on the shared disk become rows, each accepted once.

Outcome files are written by runners and read here as untrusted data. A file is removed only after
what it says is committed, so a crash in between reads it again, which changes nothing.
"""

import dataclasses
import datetime
import itertools
import logging
import math
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import numpy as np
from django.db import DataError, IntegrityError, transaction
from django.db.models import F

from runapp import dispatch
from runapp.contract import MAX_PREDICTIONS, Outcome
from runapp.encodings import NotEncoded, decode_predictions
from runapp.errors import InvalidMessage
from runapp.messages import FoldOutcome, SplitOutcome
from runapp.models import RawData, SubmissionFold
from runapp.services.folds import release_folds

logger = logging.getLogger(__name__)

#: Outcomes committed at once: enough to share the cost of a commit, few enough to be readable soon.
BATCH = 50
MAX_LOG_CHARS = 300_000

#: How a database or Python refuses values that no honest runner writes.
NONSENSE = (InvalidMessage, DataError, IntegrityError, ValueError, OverflowError)


class _End(Enum):
    """What is to be done with an outcome file once the transaction that read it is committed."""

    SAVED = "remove"
    UNUSABLE = "put aside"
    LEFT = "leave"


def save_outcomes() -> int:
    """Write every outcome there is to the database; returns how many files were dealt with.

    The cost is that of the outcomes there are, not of the folds in the database.
    """
    n_files = 0
    for batch in _batches(dispatch.exchange().outcome_files()):
        split_task_ids: list[str] = []
        with transaction.atomic():
            ends = [(path, _save(path, split_task_ids)) for path in batch]
        saved = [path.stem for path, end in ends if end is _End.SAVED]
        for path, end in ends:
            _put_away(path, end)
        _stop_copies(saved)
        if split_task_ids:
            release_folds()
        n_files += len(batch)
    return n_files


def _batches(paths: Iterator[Path]) -> Iterator[list[Path]]:
    while batch := list(itertools.islice(paths, BATCH)):
        yield batch


def _save(path: Path, split_task_ids: list[str]) -> _End:
    """Write one outcome. Adds the task of a finished split to ``split_task_ids``."""
    try:
        outcome = dispatch.exchange().read_outcome(path)
        with transaction.atomic():
            accepted = _write(outcome)
    except OSError as error:
        # Another saver was quicker, or the disk fails at the moment: what is still there is read again.
        logger.warning("outcome file %s cannot be read now: %s", path.name, error)
        return _End.LEFT
    except NONSENSE as error:
        _fail(path, str(error), split_task_ids)
        return _End.UNUSABLE
    if isinstance(outcome, SplitOutcome):
        split_task_ids.append(outcome.task_id)
    if not accepted:
        logger.warning(
            "the outcome of task %s is late, repeated or foreign; it changes nothing", outcome.task_id
        )
    return _End.SAVED


def _write(outcome: FoldOutcome | SplitOutcome) -> bool:
    """Write one outcome; tells whether it was accepted."""
    log = _readable(outcome.log_messages)
    if isinstance(outcome, SplitOutcome):
        return RawData.objects.finish_split(dataclasses.replace(outcome, log_messages=log))
    _check_predictions(outcome)
    if outcome.outcome is Outcome.LOST:
        story = f"Start {outcome.attempt} on {outcome.runner[:200]} was lost: {log}"
        return SubmissionFold.objects.start_was_lost(outcome.task_id, attempt=outcome.attempt, story=story)
    return SubmissionFold.objects.finish(dataclasses.replace(outcome, log_messages=log))


def _readable(log: str) -> str:
    """The end of a log, as text that any database can hold."""
    text = log[-MAX_LOG_CHARS:].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode()


def _check_predictions(outcome: FoldOutcome) -> None:
    """Check that an outcome's predictions are of the shapes it says, one row for each row of the data.

    Raises
    ------
    InvalidMessage
        If they are not, or are not finite numbers.
    """
    # A fold that was sent before its data set was split anew ran on the rows of the former split.
    of_this_split = SubmissionFold.objects.filter(pk=outcome.fold_id).exclude(
        sent_at__lt=F("databoard_s__raw_data__split_sent_at")
    )
    rows = (
        of_this_split.values_list(
            "databoard_s__raw_data__n_train_rows", "databoard_s__raw_data__n_test_rows"
        ).first()
    ) or (None, None)
    for name, n_rows in zip(("full_train_predictions", "test_predictions"), rows, strict=True):
        text, shape = getattr(outcome, name), getattr(outcome, f"{name}_shape")
        if outcome.outcome is not Outcome.OK:
            if text is not None or shape is not None:
                raise InvalidMessage(f"an outcome {outcome.outcome} with {name}")
            continue
        if text is None or not shape or (n_rows is not None and shape[0] != n_rows):
            raise InvalidMessage(f"{name} of the shape {shape} for {n_rows} rows")
        if min(shape) < 1 or math.prod(shape) > MAX_PREDICTIONS:
            raise InvalidMessage(f"{name} of the shape {shape}")
        try:
            predictions = decode_predictions(text, shape)
        except NotEncoded as error:
            raise InvalidMessage(f"{name}: {error.message}") from None
        if not np.isfinite(predictions).all():
            raise InvalidMessage(f"{name} are not finite numbers")


def _fail(path: Path, reason: str, split_task_ids: list[str]) -> None:
    """Have the fold or split started again that waits for a file that cannot be used.

    Where a runner holds its lease the file is a stranger's, and the runner's own is still to come.
    """
    logger.error("outcome file %s cannot be used: %s", path.name, reason)
    task_id, story = path.stem, f"the runner's answer could not be used: {_readable(reason)}"
    try:
        is_running = dispatch.exchange().has_mark(task_id)
    except InvalidMessage:
        return  # no task has such a name
    if is_running:
        return
    fold = SubmissionFold.objects.filter(task_id=task_id).values_list("attempts", "started_at").first()
    data = RawData.objects.filter(split_task_id=task_id).values_list("split_attempts", "split_started_at")
    if fold is not None:
        attempt = _current_attempt(*fold)
        story = f"Start {attempt} was lost: {story}."
        SubmissionFold.objects.start_was_lost(task_id, attempt=attempt, story=story)
    for attempts, started_at in data:
        attempt = _current_attempt(attempts, started_at)
        story = f"Start {attempt} was lost: {story}."
        RawData.objects.split_start_was_lost(task_id, attempt=attempt, story=story)
        split_task_ids.append(task_id)


def _current_attempt(attempts: int, started_at: datetime.datetime | None) -> int:
    """The number of the start that is on, also where it was over before it was noted."""
    return attempts + (started_at is None)


def _stop_copies(task_ids: list[str]) -> None:
    """Of tasks that were sent more than once, the broker may still hold copies, which must not run."""
    repeated = SubmissionFold.objects.filter(task_id__in=task_ids, times_sent__gt=1)
    for task_id in repeated.values_list("task_id", flat=True):
        dispatch.cancel(task_id)


def _put_away(path: Path, end: _End) -> None:
    try:
        if end is _End.SAVED:
            path.unlink(missing_ok=True)
            dispatch.exchange().forget(path.stem)
        elif end is _End.UNUSABLE:
            dispatch.exchange().reject(path)
    except OSError as error:
        # It is read again, which changes nothing.
        logger.warning("outcome file %s cannot be put away now: %s", path.name, error)
