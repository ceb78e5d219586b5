"""Every read that is more than a get."""

from collections.abc import Sequence

from django.db.models import Count, Q

from runapp.contract import State
from runapp.models import RawData, SubmissionFold


def folds_by_state() -> dict[str, int]:
    """How many folds are in each state, in the order of a fold's life."""
    counted = dict(SubmissionFold.objects.values_list("state").annotate(n=Count("pk")).order_by())
    return {state.value: counted.get(state.value, 0) for state in State}


def data_sets_with_counts() -> Sequence[RawData]:
    """All data sets, each with ``n_submissions``, ``n_folds``, ``n_tested`` and ``n_failed``."""
    fold = "submission__submissionfold"
    return list(
        RawData.objects.annotate(
            n_submissions=Count("submission", distinct=True),
            n_folds=Count(fold, distinct=True),
            n_tested=Count(fold, filter=Q(**{f"{fold}__state": State.TESTED}), distinct=True),
            n_failed=Count(fold, filter=Q(**{f"{fold}__state": State.ERROR}), distinct=True),
        )
    )


def latest_folds(n_folds: int) -> Sequence[SubmissionFold]:
    """The folds posted last, latest first, without indices and predictions."""
    folds = SubmissionFold.objects.without_large_columns().select_related("databoard_s__raw_data")
    return list(folds.order_by("-created_at")[:n_folds])
