"""Results: outcome files on the shared disk become rows, each accepted once.

Outcome files are written by runners and read here as untrusted data. A file is removed only after
what it says is committed, so a crash in between reads it again, which changes nothing.
"""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

from django.db import DataError, transaction

from runapp import dispatch
from runapp.contract import FoldOutcome, Outcome, SplitOutcome
from runapp.encodings import NotEncoded, decode_predictions
from runapp.errors import InvalidMessage
from runapp.models import RawData, SubmissionFold
from runapp.services.folds import release_folds

logger = logging.getLogger(__name__)

#: Outcomes committed at once: enough to share the cost of a commit, few enough to be readable soon.
BATCH = 50
MAX_LOG_CHARS = 300_000


def save_outcomes() -> int:
    """Write every outcome there is to the database; returns how many files were dealt with.

    The cost is that of the outcomes there are, not of the folds in the database.
    """
    n_files = 0
    for batch in _batches(dispatch.exchange().outcome_files()):
        split_ids: list[int] = []
        with transaction.atomic():
            done = [path for path in batch if _save(path, split_ids)]
        _forget(done)
        if split_ids:
            release_folds()
        n_files += len(batch)
    return n_files


def _batches(paths: Iterator[Path]) -> Iterator[list[Path]]:
    while batch := list(itertools.islice(paths, BATCH)):
        yield batch


def _forget(paths: list[Path]) -> None:
    """Remove the files of outcomes that are committed."""
    exchange = dispatch.exchange()
    task_ids = [path.stem for path in paths]
    # The broker may still hold copies of a task that was sent twice.
    for task_id in SubmissionFold.objects.filter(task_id__in=task_ids, times_sent__gt=1).values_list(
        "task_id", flat=True
    ):
        exchange.cancel(task_id)
    for path in paths:
        path.unlink(missing_ok=True)
        exchange.forget(path.stem)


def _save(path: Path, split_ids: list[int]) -> bool:
    """Write one outcome; tells whether its file is done with. Adds finished splits to ``split_ids``."""
    try:
        outcome = dispatch.exchange().read_outcome(path)
        with transaction.atomic():
            if isinstance(outcome, SplitOutcome):
                accepted = RawData.objects.finish_split(outcome)
                split_ids.append(outcome.raw_data_id)
            else:
                _check_predictions(outcome)
                accepted = _finish(outcome)
    except FileNotFoundError:
        return False  # another saver was quicker
    except (InvalidMessage, DataError) as error:
        _reject(path, str(error))
        return False
    if not accepted:
        # Of a fold that was started anew, deleted, cancelled, or finished elsewhere meanwhile.
        logger.warning(
            "the outcome of task %s is late, repeated or foreign; it changes nothing", outcome.task_id
        )
    return True


def _finish(outcome: FoldOutcome) -> bool:
    if outcome.outcome is not Outcome.LOST:
        return SubmissionFold.objects.finish(outcome)
    story = f"Start {outcome.attempt} on {outcome.runner[:200]} was lost: {outcome.log_messages}"
    return SubmissionFold.objects.start_was_lost(outcome.task_id, attempt=outcome.attempt, story=story)


def _check_predictions(outcome: FoldOutcome) -> None:
    """Check that an outcome's predictions are of the shapes it says, one row for each row of the data.

    Raises
    ------
    InvalidMessage
        If they are not.
    """
    rows = (
        SubmissionFold.objects.filter(pk=outcome.fold_id)
        .values_list("databoard_s__raw_data__n_train_rows", "databoard_s__raw_data__n_test_rows")
        .first()
    ) or (None, None)
    for name, n_rows in zip(("full_train_predictions", "test_predictions"), rows, strict=True):
        text, shape = getattr(outcome, name), getattr(outcome, f"{name}_shape")
        if outcome.outcome is not Outcome.OK:
            if text is not None or shape is not None:
                raise InvalidMessage(f"an outcome {outcome.outcome} with {name}")
            continue
        if text is None or not shape or min(shape) < 0 or (n_rows is not None and shape[0] != n_rows):
            raise InvalidMessage(f"{name} of the shape {shape} for {n_rows} rows")
        try:
            decode_predictions(text, shape)
        except NotEncoded as error:
            raise InvalidMessage(f"{name}: {error.message}") from None


def _reject(path: Path, reason: str) -> None:
    """Put a file aside that cannot be used, and start its fold again unless that is running."""
    logger.error("outcome file %s cannot be used: %s", path.name, reason)
    exchange = dispatch.exchange()
    exchange.reject(path)
    fold = SubmissionFold.objects.filter(task_id=path.stem).only("task_id", "attempts").first()
    if fold is not None and exchange.read_mark(fold.task_id) is None:
        attempt = fold.attempts + (fold.started_at is None)
        story = f"Start {attempt} was lost: the runner's answer could not be used: {reason}"
        SubmissionFold.objects.start_was_lost(fold.task_id, attempt=attempt, story=story)
