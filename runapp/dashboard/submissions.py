"""The list of submissions, and the page of one."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from runapp import selectors
from runapp.contract import FINAL_STATES, State
from runapp.dashboard import timeline
from runapp.dashboard.progress import Share, shares
from runapp.dashboard.requests import number, user_of
from runapp.dashboard.submission_files import shown_files
from runapp.models import RawData, Submission, SubmissionFold
from runapp.selectors import FoldSummary
from runapp.services.submissions import submission_folder

_PER_PAGE = 50
_FOLDS_PER_PAGE = 100
#: Data sets that one may choose from; others are found through their own pages.
_MAX_CHOICES = 200

#: What submissions can be narrowed to, by the states of their folds.
_WITH_FOLDS = {
    "unfinished": ("that are not finished", [s for s in State if s not in FINAL_STATES]),
    "failed": ("with failed folds", [State.ERROR]),
    "tested": ("with tested folds", [State.TESTED]),
}


@login_required
@require_safe
def submission_list(request: HttpRequest) -> HttpResponse:
    """Submissions, the highest id first, a page at a time and without counting them all."""
    user = user_of(request)
    submissions = _filtered(request, Submission.objects.visible_to(user))
    before = number(request, "before")
    page = submissions if before is None else submissions.filter(pk__lt=before)
    found = list(page.select_related("raw_data", "owner").order_by("-pk")[: _PER_PAGE + 1])
    shown, has_more = found[:_PER_PAGE], len(found) > _PER_PAGE
    summaries = selectors.fold_summaries([submission.pk for submission in shown])
    context = {
        "rows": [(submission, *_progress(summaries[submission.pk])) for submission in shown],
        "next_query": _query(request, before=shown[-1].pk) if has_more else None,
        "first_query": _query(request, before=None) if before is not None else None,
        "data_sets": RawData.objects.visible_to(user).only("name").order_by("name")[:_MAX_CHOICES],
        "with_folds": [(key, words) for key, (words, _) in _WITH_FOLDS.items()],
        "is_filtered": any(request.GET.get(name) for name in ("id", "data_set", "folds", "owner")),
    }
    return render(request, "dashboard/submissions.html", context)


def _filtered(request: HttpRequest, submissions: QuerySet[Submission]) -> QuerySet[Submission]:
    if (submission_id := number(request, "id")) is not None:
        submissions = submissions.filter(pk=submission_id)
    if (raw_data_id := number(request, "data_set")) is not None:
        submissions = submissions.filter(raw_data=raw_data_id)
    if owner := request.GET.get("owner", "").replace("\0", ""):
        submissions = submissions.filter(owner__username=owner)
    if request.GET.get("folds") in _WITH_FOLDS:
        _, states = _WITH_FOLDS[request.GET["folds"]]
        folds = SubmissionFold.objects.filter(databoard_s=OuterRef("pk"), state__in=states)
        submissions = submissions.filter(Exists(folds))
    return submissions


def _query(request: HttpRequest, **changes: Any) -> str:
    """The request's query with ``changes``; None leaves a name out."""
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return query.urlencode()


def _progress(summary: FoldSummary) -> tuple[FoldSummary, list[Share]]:
    """A summary, and the parts of its bar."""
    return summary, shares(summary.by_state, summary.n_running)


@login_required
@require_safe
def submission_page(request: HttpRequest, pk: int) -> HttpResponse:
    """A submission: its files, its folds as a table, plots and timelines; 404 to whom it is not shown."""
    user = user_of(request)
    submissions = Submission.objects.visible_to(user).select_related("raw_data", "owner")
    submission = get_object_or_404(submissions, pk=pk)
    after = number(request, "after")
    found = selectors.folds_of_submission(
        pk, after=-1 if after is None else after, n_folds=_FOLDS_PER_PAGE + 1
    )
    folds = found[:_FOLDS_PER_PAGE]
    now = timezone.now()
    summary, bar = _progress(selectors.fold_summaries([pk])[pk])
    scale = max((timeline.total_seconds(fold, now) for fold in folds), default=0.0)
    scores_visible = RawData.objects.test_scores_visible_to(user)
    context = {
        "submission": submission,
        "summary": summary,
        "shares": bar,
        "rows": [(fold, timeline.parts(fold, now, scale_seconds=scale)) for fold in folds],
        "scale_seconds": scale,
        "timeline_key": timeline.KEY,
        "now": now,
        "has_unfinished": summary.n_folds > sum(summary.by_state.get(s, 0) for s in FINAL_STATES),
        "n_failed": summary.by_state.get(State.ERROR, 0),
        "shows_test_scores": scores_visible.filter(submission=pk).exists(),
        "may_change": Submission.objects.changeable_by(user).filter(pk=pk).exists(),
        "next_query": _query(request, after=folds[-1].pk) if len(found) > _FOLDS_PER_PAGE else None,
        "first_query": _query(request, after=None) if after is not None else None,
        # What is renewed every few seconds is the folds alone.
        "files": None if request.headers.get("HX-Request") else shown_files(submission_folder(submission)),
    }
    return render(request, "dashboard/submission.html", context)
