"""Handing predictions out: ``testpredictions/new/`` gives each fold once, to who posted it."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import connection, transaction

from runapp.contract import FINAL_STATES, State
from runapp.models import SubmissionFold


def predictions_of(fold_ids: Sequence[int], *, by: User) -> list[SubmissionFold]:
    """The folds among ``fold_ids`` that the caller sees, by id; their own finished ones are no longer new."""
    folds = list(SubmissionFold.objects.visible_to(by).filter(pk__in=fold_ids).defer("train_is", "test_is"))
    # Only what this answer shows as finished: a fold that finishes meanwhile stays new.
    _mark_handed_out([fold for fold in folds if fold.state in FINAL_STATES], by)
    return folds


@transaction.atomic
def predictions_new(*, by: User, raw_data_id: int | None, errors: bool, ack: bool) -> list[SubmissionFold]:
    """The caller's own finished folds that were not handed out before, by id.

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
    folds = SubmissionFold.objects.handed_out_to(by).filter(new=True, state__in=states)
    folds = folds.defer("train_is", "test_is")
    if raw_data_id is not None:
        folds = folds.filter(databoard_s__raw_data_id=raw_data_id)
    if ack:
        # Whoever comes second at the same moment passes over the rows of the first.
        folds = folds.select_for_update(
            of=("self",), skip_locked=connection.features.has_select_for_update_skip_locked
        )
    answer = list(folds)
    if ack:
        _mark_handed_out(answer, by)
    return answer


def _mark_handed_out(folds: Sequence[SubmissionFold], by: User) -> None:
    """Those among the folds whose results wait for this caller are no longer new."""
    # By task: a fold that was started anew meanwhile is new again.
    own = SubmissionFold.objects.handed_out_to(by).filter(task_id__in=[fold.task_id for fold in folds])
    own_ids = set(own.values_list("pk", flat=True))
    own.update(new=False)
    for fold in folds:
        fold.new = fold.new and fold.pk not in own_ids
