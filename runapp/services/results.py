"""Results: outcome files on the shared disk become rows, each accepted once.

Outcome files are written by runners and read here as untrusted data. A file is removed only after
what it says is committed, so a crash in between reads it again, which changes nothing.
"""

import dataclasses
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
from runapp.contract import MAX_PREDICTIONS, FoldOutcome, Outcome, SplitOutcome
from runapp.encodings import NotEncoded, decode_predictions
from runapp.errors import InvalidMessage
from runapp.models import RawData, SubmissionFold
from runapp.services.folds import release_folds

logger = logging.getLogger(__name__)

#: Outcomes committed at once: enough to share the cost of a commit, few enough to be readable soon.
BATCH = 50
MAX_LOG_CHARS = 300_000

#: How a database or Python refuses values that no honest runner writes.
_NONSENSE = (InvalidMessage, DataError, IntegrityError, ValueError, OverflowError)


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
        for path, end in ends:
            _put_away(path, end)
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
    except _NONSENSE as error:
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
    """End the fold or split that waits for a file that cannot be used: it gets no other."""
    logger.error("outcome file %s cannot be used: %s", path.name, reason)
    story = f"the runner's answer could not be used: {_readable(reason)}"
    folds = SubmissionFold.objects.filter(task_id=path.stem).values_list("pk", flat=True)
    SubmissionFold.objects.fail(list(folds), Outcome.LOST, story)
    if RawData.objects.fail_split(path.stem, story):
        split_task_ids.append(path.stem)


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


def note_progress() -> int:
    """Write how far running folds are; returns how many changed."""
    exchange = dispatch.exchange()
    n_changed = 0
    for task_id in exchange.marked_task_ids():
        mark = exchange.read_mark(task_id)
        if mark is None:
            continue
        try:
            with transaction.atomic():
                n_changed += SubmissionFold.objects.note_progress(mark)
        except _NONSENSE as error:
            logger.warning("the mark of task %s cannot be used: %s", task_id, error)
    return n_changed


def sweep() -> None:
    """What beat does, whether or not a ring was heard: save, note progress, send what was not sent."""
    save_outcomes()
    note_progress()
    for raw_data in RawData.objects.splits_to_send():
        dispatch.send_split(raw_data)
    release_folds()
