"""Every read that is more than a get."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

from django.db.models import Avg, Count, F, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Greatest, Left, TruncMinute
from django.utils import timezone

from runapp.contract import FINAL_STATES, Outcome, Priority, Queue, SplitState, State
from runapp.models import RawData, SubmissionFold
from runapp.models.submission_fold import SubmissionFoldQuerySet

Folds = SubmissionFoldQuerySet

#: Of a fold's log that lists show the reason from.
LOG_HEAD_CHARS = 8000

_SPLIT_QUEUED = Q(split_state=SplitState.TODO, split_sent_at__isnull=False, split_started_at=None)


def folds_by_state(folds: Folds) -> dict[str, int]:
    """How many of ``folds`` are in each state, in the order of a fold's life."""
    counted = dict(folds.order_by().values_list("state").annotate(n=Count("pk")))
    return {state.value: counted.get(state.value, 0) for state in State}


@dataclasses.dataclass(frozen=True)
class Waiting:
    """What waits for one queue: how many are to be sent, how many it has, and when the oldest was sent."""

    n_to_send: int
    n_queued: int
    oldest_sent_at: datetime.datetime | None


def waiting_by_queue() -> dict[Queue, Waiting]:
    """Folds and splits that no runner has started, by the queue that they are for."""
    queued = Q(sent_at__isnull=False)
    rows = (
        SubmissionFold.objects.filter(state=State.TODO, started_at=None)
        .order_by()
        .values_list("priority")
        .annotate(
            n_to_send=Count("pk", filter=~queued),
            n_queued=Count("pk", filter=queued),
            oldest=Min("sent_at", filter=queued),
        )
    )
    found = {priority: Waiting(*rest) for priority, *rest in rows}
    splits = RawData.objects.order_by().aggregate(
        n_to_send=Count("pk", filter=Q(split_state=SplitState.TODO, split_sent_at=None)),
        n_queued=Count("pk", filter=_SPLIT_QUEUED),
        oldest=Min("split_sent_at", filter=_SPLIT_QUEUED),
    )
    folds = {Queue(p.value): found.get(p.value, Waiting(0, 0, None)) for p in reversed(Priority)}
    return folds | {Queue.SPLIT: Waiting(splits["n_to_send"], splits["n_queued"], splits["oldest"])}


def running_folds(folds: Folds, n_folds: int) -> Sequence[SubmissionFold]:
    """Those of ``folds`` that run, the longest running first."""
    return list(_with_origin(folds).started().order_by("started_at")[:n_folds])


def latest_failures(folds: Folds, n_folds: int) -> Sequence[SubmissionFold]:
    """Those of ``folds`` that failed last, latest first, each with its log's beginning as ``log_head``."""
    failed = folds.filter(state=State.ERROR).exclude(outcome=Outcome.CANCELLED).order_by("-saved_at")
    return list(_with_log_head(_with_origin(failed))[:n_folds])


def failed_splits(data_sets: QuerySet[RawData], n_data_sets: int) -> Sequence[RawData]:
    """Those of ``data_sets`` whose split failed, latest first."""
    failed = data_sets.filter(split_state=SplitState.ERROR).defer("split_log")
    return list(
        failed.annotate(log_head=Left("split_log", LOG_HEAD_CHARS)).order_by("-split_sent_at")[:n_data_sets]
    )


def _with_origin(folds: Folds) -> Folds:
    return folds.without_large_columns().defer("log_messages").select_related("databoard_s__raw_data")


def _with_log_head(folds: Folds) -> Folds:
    # Of 300,000 characters none but the first say why a fold ended; what it printed follows them.
    return folds.annotate(log_head=Left("log_messages", LOG_HEAD_CHARS))


@dataclasses.dataclass(frozen=True)
class FinishedMinute:
    """Folds that finished in one minute with one state; seconds are sums over them."""

    minute: datetime.datetime
    state: str
    n_folds: int
    waited_seconds: float
    trained_seconds: float


def finished_by_minute(folds: Folds, *, since: datetime.datetime) -> Sequence[FinishedMinute]:
    """Those of ``folds`` that finished after ``since``, by the minute."""
    rows = (
        folds.filter(state__in=FINAL_STATES, saved_at__gte=since)
        .order_by()
        .annotate(minute=TruncMinute("saved_at"))
        .values_list("minute", "state")
        .annotate(n=Count("pk"), waited=Sum(F("started_at") - F("created_at")), trained=Sum("train_time"))
    )
    return [
        FinishedMinute(minute, state, n, waited.total_seconds() if waited else 0.0, trained or 0.0)
        for minute, state, n, waited, trained in rows
    ]


@dataclasses.dataclass(frozen=True)
class FoldSummary:
    """The folds of one submission: how many are in which state, mean seconds of training of the tested
    ones, and the highest memory of any, kB."""

    by_state: dict[str, int]
    n_running: int
    train_seconds: float | None
    memory_kb: float

    @property
    def n_folds(self) -> int:
        return sum(self.by_state.values())


def fold_summaries(submission_ids: Sequence[int]) -> dict[int, FoldSummary]:
    """The folds of each of the submissions; those without a fold have an empty summary."""
    summaries = {number: FoldSummary({}, 0, None, 0.0) for number in submission_ids}
    rows = (
        SubmissionFold.objects.filter(databoard_s__in=submission_ids)
        .order_by()
        .values("databoard_s", "state")
        .annotate(
            n=Count("pk"),
            n_started=Count("started_at"),
            train_seconds=Avg("train_time"),
            memory_kb=Max(Greatest("train_memory", "test_memory")),
        )
    )
    for row in rows:
        former = summaries[row["databoard_s"]]
        summaries[row["databoard_s"]] = FoldSummary(
            by_state=former.by_state | {row["state"]: row["n"]},
            n_running=former.n_running + (row["n_started"] if row["state"] not in FINAL_STATES else 0),
            train_seconds=row["train_seconds"] if row["state"] == State.TESTED else former.train_seconds,
            memory_kb=max(former.memory_kb, row["memory_kb"]),
        )
    return summaries


def folds_of_submission(submission_id: int, *, after: int, n_folds: int) -> Sequence[SubmissionFold]:
    """Folds of a submission whose ids follow ``after``, each with its ``log_head``."""
    folds = SubmissionFold.objects.without_large_columns().defer("log_messages")
    own = _with_log_head(folds).filter(databoard_s=submission_id, pk__gt=after)
    return list(own.order_by("pk")[:n_folds])


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
