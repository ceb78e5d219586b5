"""Every read that is more than a get."""

import datetime
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, F, Min, Q, Sum
from django.utils import timezone

from runapp.contract import Priority, State
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


def folds_by_outcome() -> dict[tuple[str, str], int]:
    """How many folds there are of each state and outcome that occurs."""
    rows = SubmissionFold.objects.values_list("state", "outcome").annotate(n=Count("pk")).order_by()
    return {(state, outcome): n for state, outcome, n in rows}


def oldest_queued_seconds() -> dict[str, float]:
    """How long the longest queued fold of each priority has been waiting; 0 where none is."""
    queued = SubmissionFold.objects.queued().values_list("priority").annotate(at=Min("sent_at")).order_by()
    now = timezone.now()
    waiting = {priority: (now - at).total_seconds() for priority, at in queued}
    return {priority.value: waiting.get(priority.value, 0.0) for priority in Priority}


def durations(bounds: Sequence[float]) -> dict[str, tuple[list[int], int, float]]:
    """Durations of the tested folds: for each how many took at most each of ``bounds`` (seconds), how many
    there are, and the sum of their seconds."""
    wanted: dict[str, Any] = {"n": Count("pk")}
    for name in ("train_time", "validation_time", "test_time"):
        wanted[f"{name}_sum"] = Sum(name)
        for number, bound in enumerate(bounds):
            wanted[f"{name}_{number}"] = Count("pk", filter=Q(**{f"{name}__lte": bound}))
    took = F("saved_at") - F("created_at")
    wanted["total_sum"] = Sum(took)
    for number, bound in enumerate(bounds):
        within = F("created_at") + datetime.timedelta(seconds=bound)
        wanted[f"total_{number}"] = Count("pk", filter=Q(saved_at__lte=within))
    found = SubmissionFold.objects.filter(state=State.TESTED).aggregate(**wanted)
    total = found["total_sum"] or datetime.timedelta()
    found["total_sum"] = total.total_seconds()
    return {
        name: ([found[f"{name}_{i}"] for i in range(len(bounds))], found["n"], found[f"{name}_sum"] or 0.0)
        for name in ("train_time", "validation_time", "test_time", "total")
    }
