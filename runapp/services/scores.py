"""Scores: what the scorer of a data set says of the predictions that are stored.

A fold is to be scored when it is finished and ``scored_with`` is empty; so every result is found,
however late it came, and a scorer that is changed only has to empty that column. Everything here may
run twice, or at the same time, without harm.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from runapp.contract import FINAL_STATES, State
from runapp.encodings import (
    DecompressedTooLarge,
    NotEncoded,
    Predictions,
    decode_indices,
    decode_predictions,
)
from runapp.models import RawData, Submission, SubmissionFold
from runapp.scoring import MAX_NUMBERS, Bag, CannotScore, FoldScores, Scoring, mean_and_spread

#: How long a worker scores before it looks for what else there is to do.
SLICE_SECONDS = 5.0
#: After so long a worker that scores counts as gone, and another one scores.
CLAIM_SECONDS = 120.0

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _ScoredRow:
    """A finished fold under the task whose results were read, and its scores."""

    task_id: str
    scores: FoldScores


def score_what_is_due(*, slice_seconds: float = SLICE_SECONDS) -> int:
    """Score finished folds for about so long; returns how many submissions were brought up to date.

    A data set that another worker scores at the moment is left to it.
    """
    deadline = time.monotonic() + slice_seconds
    n_submissions = 0
    due = SubmissionFold.objects.to_score().order_by()
    for raw_data_id in list(due.values_list("databoard_s__raw_data", flat=True).distinct()):
        if time.monotonic() > deadline:
            break
        if not RawData.objects.claim_scoring(raw_data_id, seconds=CLAIM_SECONDS):
            continue
        try:
            n_submissions += _score_data_set(RawData.objects.get(pk=raw_data_id), deadline)
        except OSError as error:
            logger.warning("data set %d cannot be scored now, the sweep asks again: %s", raw_data_id, error)
        finally:
            RawData.objects.release_scoring(raw_data_id)
    return n_submissions


def _score_data_set(raw_data: RawData, deadline: float) -> int:
    due = SubmissionFold.objects.to_score().filter(databoard_s__raw_data=raw_data.pk).order_by()
    submissions = list(Submission.objects.filter(pk__in=due.values("databoard_s")))
    scoring = _scoring(raw_data) if submissions else None
    n_submissions = 0
    for submission in submissions:
        if scoring is None or not _score_submission(raw_data, submission, scoring):
            break  # the scorer or the split was changed meanwhile: what is due now is read anew
        n_submissions += 1
        if time.monotonic() > deadline:
            break
    return n_submissions


def _scoring(raw_data: RawData) -> Scoring | CannotScore:
    """The scorer of a data set with its labels, or why it cannot be asked."""
    try:
        return Scoring.of_split(
            settings.ENVIRONMENT.dir_data / raw_data.split_folder,
            scorer=raw_data.scorer,
            target_column=raw_data.target_column,
            classify="classifier" in raw_data.elements,
            n_rows=(raw_data.n_train_rows or 0, raw_data.n_test_rows or 0),
        )
    except CannotScore as error:
        return error


def _score_submission(raw_data: RawData, submission: Submission, scoring: Scoring | CannotScore) -> bool:
    """Score a submission's folds, and their bag if all are finished; tells whether that was written."""
    folds = SubmissionFold.objects.filter(databoard_s=submission)
    is_whole = not folds.unfinished().exists()
    read = folds if is_whole else folds.filter(scored_with="", state__in=FINAL_STATES)
    bag = Bag(raw_data.n_train_rows or 0)
    rows: list[_ScoredRow] = []
    # One fold at a time: the predictions of one may fill a large part of the memory.
    for fold_id in list(read.values_list("pk", flat=True)):
        fold = SubmissionFold.objects.filter(pk=fold_id, state__in=FINAL_STATES).first()
        if fold is None:
            continue  # started anew meanwhile
        scores = _score_fold(raw_data, fold, scoring, bag)
        if not fold.scored_with:
            rows.append(_ScoredRow(fold.task_id, scores))
    if not is_whole:
        bagged = FoldScores.none("not all folds are finished")
    elif isinstance(scoring, CannotScore):
        bagged = FoldScores.none(scoring.message)
    else:
        bagged = scoring.score_bag(bag)
    return _write(raw_data, submission, rows, bagged)


def _score_fold(
    raw_data: RawData, fold: SubmissionFold, scoring: Scoring | CannotScore, bag: Bag
) -> FoldScores:
    """The scores of a finished fold, whose predictions are added to ``bag``."""
    if fold.state != State.TESTED:
        return FoldScores.none("")  # the fold itself says why it failed
    try:
        if isinstance(scoring, CannotScore):
            raise scoring
        if fold.sent_at and raw_data.split_sent_at and fold.sent_at < raw_data.split_sent_at:
            raise CannotScore("the fold ran on an earlier split of the data set")
        train_is, test_is = (
            decode_indices(text, max_bytes=settings.MAX_DECOMPRESSED_BYTES)
            for text in (fold.train_is, fold.test_is)
        )
        predictions = scoring.fold(
            _predictions(fold.full_train_predictions, fold.full_train_predictions_shape),
            _predictions(fold.test_predictions, fold.test_predictions_shape),
            train_is=train_is,
            test_is=test_is,
        )
    except (CannotScore, NotEncoded, DecompressedTooLarge) as error:
        return FoldScores.none(error.message)
    bag.add(predictions)
    return FoldScores.none("") if fold.scored_with else scoring.score(predictions)


def _predictions(text: str, shape: list[int] | None) -> Predictions:
    size = math.prod(shape or [])
    if size > MAX_NUMBERS:
        raise CannotScore(f"{size} predictions are more than the {MAX_NUMBERS} that are scored")
    return decode_predictions(text, tuple(shape or ()))


@transaction.atomic
def _write(raw_data: RawData, submission: Submission, rows: Sequence[_ScoredRow], bagged: FoldScores) -> bool:
    """Write scores, unless scorer, split or files are others by now; tells whether they were written.

    Locks in the order of everything that changes a submission with its folds.
    """
    same = RawData.objects.scored().filter(
        pk=raw_data.pk, scorer=raw_data.scorer, split_task_id=raw_data.split_task_id
    )
    if same.select_for_update(no_key=True).first() is None:
        return False
    same_files = Submission.objects.filter(pk=submission.pk, files_hash=submission.files_hash)
    if same_files.select_for_update(no_key=True, of=("self",)).first() is None:
        return True  # its folds start anew, and are scored then
    for row in rows:
        finished = SubmissionFold.objects.filter(task_id=row.task_id, state__in=FINAL_STATES)
        finished.update(
            scored_with=raw_data.scorer,
            validation_score=row.scores.validation.value,
            validation_note=row.scores.validation.note,
            test_score=row.scores.test.value,
            test_note=row.scores.test.note,
        )
    same_files.update(**_summary(submission, bagged))
    return True


def _summary(submission: Submission, bagged: FoldScores) -> dict[str, Any]:
    """What is kept of a submission's scores: those of its folds together, and that of their bag."""
    scores = SubmissionFold.objects.filter(databoard_s=submission)
    found = list(scores.values_list("validation_score", "test_score"))
    validation = [score for score, _ in found if score is not None]
    test = [score for _, score in found if score is not None]
    mean, spread = mean_and_spread(validation)
    test_mean, test_spread = mean_and_spread(test)
    return {
        "validation_score_mean": mean,
        "validation_score_std": spread,
        "test_score_mean": test_mean,
        "test_score_std": test_spread,
        "bagged_validation_score": bagged.validation.value,
        "bagged_validation_note": bagged.validation.note,
        "bagged_test_score": bagged.test.value,
        "bagged_test_note": bagged.test.note,
        "n_scored_folds": len(validation),
    }
