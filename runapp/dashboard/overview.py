"""The first page: what runs, what waits, what failed and why."""

import dataclasses
import datetime
from collections.abc import Iterable

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from runapp import dispatch, selectors
from runapp.contract import Queue, State
from runapp.dashboard.requests import user_of
from runapp.models import RawData, SubmissionFold
from runapp.selectors import FinishedMinute, Waiting
from runapp.services.runners import Runner, runners

_N_RUNNING, _N_FAILURES, _N_SPLITS = 12, 12, 5
_HISTORY = datetime.timedelta(hours=6)
_BIN_MINUTES = 10
#: However many people look, the broker is not asked more often.
_BROKER_SECONDS = 4


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Folds by state, queues, runners, throughput, what runs, and the latest failures."""
    user = user_of(request)
    folds = SubmissionFold.objects.visible_to(user)
    now = timezone.now()
    states = selectors.folds_by_state(folds)
    all_runners = runners()
    waiting = selectors.waiting_by_queue()
    context = {
        "now": now,
        "states": states,
        "n_folds": sum(states.values()),
        "running": selectors.running_folds(folds, _N_RUNNING),
        "failures": selectors.latest_failures(folds, _N_FAILURES),
        "failed_splits": selectors.failed_splits(RawData.objects.details_visible_to(user), _N_SPLITS),
        "queues": _queues(waiting, all_runners),
        "runners": all_runners,
        "n_places": sum(runner.mark.places for runner in all_runners if runner.is_alive),
        "n_busy": sum(runner.mark.busy for runner in all_runners if runner.is_alive),
        "history": _history(selectors.finished_by_minute(folds, since=now - _HISTORY), now),
        "hours": int(_HISTORY.total_seconds()) // 3600,
        "bin_minutes": _BIN_MINUTES,
        "has_data": RawData.objects.exists(),
    }
    return render(request, "dashboard/overview.html", context)


@dataclasses.dataclass(frozen=True)
class _QueueRow:
    name: str
    what: str
    waiting: Waiting
    #: Tasks in the broker; None where it does not answer.
    n_in_broker: int | None
    n_takers: int


_WHAT = {Queue.HIGH: "folds of high priority", Queue.LOW: "folds", Queue.SPLIT: "splits of data sets"}


def _queues(waiting: dict[Queue, Waiting], all_runners: Iterable[Runner]) -> list[_QueueRow]:
    depths = cache.get_or_set("queue_depths", _depths, _BROKER_SECONDS) or {}
    marks = [runner.mark for runner in all_runners if runner.is_alive and not runner.mark.refuses]
    return [
        _QueueRow(queue.value, _WHAT[queue], row, depths.get(queue), sum(queue in m.queues for m in marks))
        for queue, row in waiting.items()
    ]


def _depths() -> dict[Queue, int]:
    depths: dict[Queue, int] = {}
    for queue in _WHAT:
        depth = dispatch.queue_depth(queue)
        if depth is None:
            break  # neither would the broker answer for the others
        depths[queue] = depth.n_ready
    return depths


@dataclasses.dataclass
class _Bin:
    """Some minutes of the last hours."""

    begins_at: datetime.datetime
    n_tested: int = 0
    n_failed: int = 0
    waited_seconds: float = 0.0
    trained_seconds: float = 0.0

    @property
    def mean_waited_seconds(self) -> float | None:
        n_folds = self.n_tested + self.n_failed
        return self.waited_seconds / n_folds if n_folds else None

    @property
    def mean_trained_seconds(self) -> float | None:
        return self.trained_seconds / self.n_tested if self.n_tested else None


def _history(minutes: Iterable[FinishedMinute], now: datetime.datetime) -> list[_Bin]:
    """The last hours, also those minutes in which nothing finished."""
    width = datetime.timedelta(minutes=_BIN_MINUTES)
    latest = _begin(now)
    n_bins = _HISTORY // width
    bins = {at: _Bin(at) for at in (latest - i * width for i in reversed(range(n_bins)))}
    for row in minutes:
        if (found := bins.get(_begin(row.minute))) is None:
            continue  # older than the first whole one
        found.waited_seconds += row.waited_seconds
        if row.state == State.TESTED:
            found.n_tested += row.n_folds
            found.trained_seconds += row.trained_seconds
        else:
            found.n_failed += row.n_folds
    return list(bins.values())


def _begin(moment: datetime.datetime) -> datetime.datetime:
    return moment.replace(minute=moment.minute - moment.minute % _BIN_MINUTES, second=0, microsecond=0)
