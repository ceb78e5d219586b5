"""What is done to a fold that is there: cancel it, train it anew, have it wait less."""

import logging

from django.contrib.auth.models import User
from django.db import transaction

from runapp import dispatch
from runapp.contract import FINAL_STATES, Outcome, Priority
from runapp.errors import Conflict, Forbidden, NotFound
from runapp.models import SubmissionFold
from runapp.services.folds import check_split, fold_indices, release_folds, start_anew

logger = logging.getLogger(__name__)


@transaction.atomic
def fold_cancel(fold_id: int, *, by: User) -> SubmissionFold:
    """End a fold that is not finished: queued it is never started, running it is stopped.

    A fold that was cancelled before is answered as it is.

    Raises
    ------
    NotFound, Forbidden
        If there is no such fold that ``by`` may see, or change.
    Conflict
        If it is finished.
    """
    fold = _locked(fold_id, by)
    if fold.outcome == Outcome.CANCELLED:
        return fold
    log = f"{fold.log_messages}Cancelled by {by.get_username()}."
    if not SubmissionFold.objects.fail([fold.pk], Outcome.CANCELLED, log):
        raise Conflict(f"the fold {fold_id} is finished: {fold.state}")
    transaction.on_commit(lambda: dispatch.cancel(fold.task_id))
    fold.refresh_from_db()
    return fold


@transaction.atomic
def fold_retrain(fold_id: int, *, by: User) -> SubmissionFold:
    """Train a fold anew, with the files that its submission has; an unfinished run of it is cancelled.

    Raises
    ------
    NotFound, Forbidden
        If there is no such fold that ``by`` may see, or change.
    Conflict
        If its data set was deleted, or is not split.
    """
    fold = _locked(fold_id, by)
    raw_data = fold.databoard_s.raw_data if fold.databoard_s else None
    if raw_data is None:
        raise Conflict(f"the data set of the fold {fold_id} was deleted")
    check_split(raw_data, fold_indices(fold.train_is, fold.test_is))
    start_anew(fold)
    transaction.on_commit(lambda: release_folds([fold_id]))
    fold.refresh_from_db()
    return fold


@transaction.atomic
def fold_raise_priority(fold_id: int, *, by: User) -> SubmissionFold:
    """Have a fold that waits taken before those of low priority; it is sent once more, to the queue H.

    A fold of high priority is answered as it is.

    Raises
    ------
    NotFound, Forbidden
        If there is no such fold that ``by`` may see, or change.
    Conflict
        If it runs already or is finished.
    """
    fold = _locked(fold_id, by)
    if fold.priority == Priority.HIGH:
        return fold
    if not SubmissionFold.objects.raise_priority(fold_id):
        what = f"is finished: {fold.state}" if fold.state in FINAL_STATES else "runs already"
        raise Conflict(f"the fold {fold_id} {what}")
    logger.info("the priority of the fold %s is raised by %s", fold_id, by.get_username())
    transaction.on_commit(lambda: release_folds([fold_id]))
    fold.refresh_from_db()
    return fold


def _locked(fold_id: int, by: User) -> SubmissionFold:
    folds = SubmissionFold.objects.visible_to(by).with_is_own(by).select_for_update(of=("self",))
    fold = folds.filter(pk=fold_id).first()
    if fold is None:
        raise NotFound(f"there is no fold {fold_id}")
    if not fold.is_own:
        raise Forbidden(
            f"the fold {fold_id} may be changed by who handed in its submission, by the organizer of its "
            "data set, and by staff"
        )
    return fold
