"""Changes of a data set after its upload: its scorer, what its ranking shows, and the limits of its folds."""

import difflib

from django.contrib.auth.models import User
from django.db import transaction

from runapp import dispatch
from runapp.contract import SPECIFIC_FILE
from runapp.errors import Forbidden, InvalidInput
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.submission import NO_SCORES


@transaction.atomic
def raw_data_change(raw_data: RawData, *, by: User, **changes: str | int | None) -> RawData:
    """Change what an organizer may change of a data set after the upload.

    Parameters
    ----------
    changes
        New values of ``scorer``, ``ranking`` and the limits in ``DATA_SET_LIMITS``. Limits hold for the
        folds that are sent from now on. Where the scorer is another one, all scores are made anew.

    Raises
    ------
    Forbidden
        If the data set is another organizer's.
    InvalidInput
        Naming the field and what is wrong with it.
    """
    data_changeable_check(raw_data, by)
    locked = RawData.objects.select_for_update(no_key=True, of=("self",)).get(pk=raw_data.pk)
    new_scorer = changes.get("scorer", locked.scorer)
    if new_scorer != locked.scorer:
        scorer_check(str(new_scorer), custom=locked.custom)
        scores_drop(locked)
    for name, value in changes.items():
        setattr(locked, name, value)
    locked.save(update_fields=list(changes))
    transaction.on_commit(dispatch.send_scoring, robust=True)
    return locked


def data_changeable_check(raw_data: RawData, by: User) -> None:
    """Raise Forbidden unless somebody may change a data set."""
    if not RawData.objects.changeable_by(by).filter(pk=raw_data.pk).exists():
        raise Forbidden(f"the data set {raw_data.name} may be changed by its organizer and by staff")


def scorer_check(name: str, *, custom: bool) -> None:
    """Refuse a scorer that scikit-learn does not have, or whose labels the master could not read.

    Raises
    ------
    InvalidInput
        Saying which scorers there are.
    """
    if not name:
        return
    if custom:
        raise InvalidInput(
            "scorer", f"a data set with a {SPECIFIC_FILE} has no labels that datarun could read: no scorer"
        )
    # Web processes need scikit-learn for nothing else, and start without it.
    from sklearn.metrics import get_scorer_names

    names = get_scorer_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=5) or ["accuracy", "roc_auc", "r2"]
        raise InvalidInput(
            "scorer",
            f"{name[:60]!r} is not a scorer of scikit-learn; known are, among others, {', '.join(close)}",
        )


def scores_drop(raw_data: RawData) -> None:
    """Have all scores of a data set made anew, within a transaction that has locked its row."""
    submissions = Submission.objects.filter(raw_data=raw_data)
    # Whoever changes a submission with its folds locks it before them.
    list(submissions.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk"))
    submissions.update(**NO_SCORES)
    SubmissionFold.objects.drop_scores(raw_data.pk)
