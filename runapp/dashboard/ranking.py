"""The page that ranks the submissions on a data set."""

import dataclasses

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from runapp import standings
from runapp.dashboard.requests import user_of
from runapp.dashboard.timeline import BAR_UNITS
from runapp.models import RawData, Submission

_PER_PAGE = 50
#: Headings of what a ranking can be ordered by.
_HEADINGS = dict(
    zip(standings.RANKED_BY, ("Validation", "Bagged validation", "Test", "Bagged test"), strict=True)
)
_MARK_UNITS = 10


@dataclasses.dataclass(frozen=True)
class _Interval:
    """A mean and its spread as a drawing: where its line begins, its length, and where the mark is."""

    x: float
    width: float
    mean: float


@login_required
@require_safe
def ranking_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Submissions by their scores; 404 where there is no scorer, or to whom the ranking is not shown."""
    user = user_of(request)
    visible = RawData.objects.ranking_visible_to(user).with_shows_details(user).select_related("owner")
    data = get_object_or_404(visible.defer("split_log", "description"), pk=pk)
    shows_test_scores = RawData.objects.test_scores_visible_to(user).filter(pk=pk).exists()
    columns = {name: words for name, words in _HEADINGS.items() if shows_test_scores or "test" not in name}
    by = request.GET.get("by", "")
    by = by if by in columns else standings.RANKED_BY[0]
    page = Paginator(standings.ranking(data, user, by=by), _PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page)
    context = {
        "data": data,
        "page": page,
        "columns": columns,
        "by": by,
        "rows": [
            (rank, submission, interval)
            for rank, (submission, interval) in enumerate(
                zip(shown, _intervals(shown), strict=True), page.start_index()
            )
        ],
        "page_query": f"by={by}&",
        "shows_test_scores": shows_test_scores,
    }
    return render(request, "dashboard/ranking.html", context)


def _intervals(submissions: list[Submission]) -> list[_Interval | None]:
    """Mean and spread of each submission's validation scores, all on one scale."""
    scored = [
        (s.validation_score_mean, s.validation_score_std or 0.0)
        for s in submissions
        if s.validation_score_mean is not None
    ]
    low = min((mean - spread for mean, spread in scored), default=0.0)
    high = max((mean + spread for mean, spread in scored), default=0.0)
    scale = BAR_UNITS / (high - low) if high > low else 0.0

    def interval(mean: float, spread: float) -> _Interval:
        x = scale * (mean - spread - low)
        mark = scale * (mean - low) - _MARK_UNITS / 2
        return _Interval(round(x, 1), round(2 * scale * spread, 1), round(mark, 1))

    return [
        None
        if s.validation_score_mean is None
        else interval(s.validation_score_mean, s.validation_score_std or 0.0)
        for s in submissions
    ]
