"""Handing predictions out: each caller of ``testpredictions/new/`` gets folds that no other got."""

from collections.abc import Sequence

from django.db import connection, transaction

from runapp.contract import FINAL_STATES, State
from runapp.models import SubmissionFold


def predictions_of(fold_ids: Sequence[int]) -> list[SubmissionFold]:
    """The folds among ``fold_ids`` that exist, by id; the finished ones are no longer new."""
    folds = list(SubmissionFold.objects.filter(pk__in=fold_ids).defer("train_is", "test_is"))
    # Only what this answer shows as finished: a fold that finishes meanwhile stays new.
    _mark_handed_out([fold for fold in folds if fold.state in FINAL_STATES])
    return folds


@transaction.atomic
def predictions_new(*, raw_data_id: int | None, errors: bool, ack: bool) -> list[SubmissionFold]:
    """Finished folds that were not handed out before, by id.

    Parameters
    ----------
    raw_data_id
        Only folds on this data set; None for all.
    errors
        Whether folds that failed are handed out, too.
    ack
        Whether they count as handed out from now on. A caller that may crash says no, and confirms
        by asking for the folds by their ids.
    """
    states = [State.TESTED, State.ERROR] if errors else [State.TESTED]
    folds = SubmissionFold.objects.filter(new=True, state__in=states).defer("train_is", "test_is")
    if raw_data_id is not None:
        folds = folds.filter(databoard_s__raw_data_id=raw_data_id)
    if ack:
        # Whoever comes second at the same moment passes over the rows of the first.
        folds = folds.select_for_update(
            of=("self",), skip_locked=connection.features.has_select_for_update_skip_locked
        )
    answer = list(folds)
    if ack:
        _mark_handed_out(answer)
    return answer


def _mark_handed_out(folds: Sequence[SubmissionFold]) -> None:
    # By task: a fold that was started anew meanwhile is new again.
    SubmissionFold.objects.filter(task_id__in=[fold.task_id for fold in folds]).update(new=False)
    for fold in folds:
        fold.new = False
