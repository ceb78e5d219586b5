"""The list of data sets, and the page of one."""

import dataclasses
import itertools
import os
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from runapp import standings
from runapp.contract import DATA_SET_LIMITS
from runapp.dashboard.progress import Share, shares
from runapp.dashboard.requests import user_of
from runapp.dashboard.timeline import BAR_UNITS
from runapp.models import RawData, Submission
from runapp.standings import Progress

_PER_PAGE = 50
_MAX_FILES = 50


@login_required
@require_safe
def data_set_list(request: HttpRequest) -> HttpResponse:
    """Data sets with the folds on them that somebody may see, the latest first."""
    user = user_of(request)
    visible = RawData.objects.visible_to(user).select_related("owner")
    page = _page(request, visible.defer("split_log", "description").order_by("-pk"))
    shown = list(page)
    progress = standings.progress_of_data_sets(shown, user)
    counts = standings.submission_counts(shown, user)
    context = {
        "page": page,
        "rows": [(data, counts.get(data.pk, 0), *_bar(progress[data.pk])) for data in shown],
    }
    return render(request, "dashboard/data_sets.html", context)


def _page(request: HttpRequest, found: Any) -> Page[Any]:
    return Paginator(found, _PER_PAGE).get_page(request.GET.get("page"))


def _bar(progress: Progress) -> tuple[Progress, list[Share]]:
    """How far folds are, and the parts of its bar."""
    return progress, shares(progress.by_state, progress.n_running)


@login_required
@require_safe
def data_set_page(request: HttpRequest, pk: int) -> HttpResponse:
    """A data set, and the submissions on it that somebody may see; its details for its organizer."""
    user = user_of(request)
    visible = RawData.objects.visible_to(user).with_shows_details(user).select_related("owner")
    data = get_object_or_404(visible, pk=pk)
    submissions = Submission.objects.visible_to(user).filter(raw_data=data).select_related("owner")
    page = _page(request, submissions.order_by("-pk"))
    of_submissions = standings.progress_of_submissions(list(page))
    progress, bar = _bar(standings.progress_of_data_sets([data], user)[pk])
    context = {
        "data": data,
        "page": page,
        "rows": [(submission, *_bar(of_submissions[submission.pk])) for submission in page],
        "progress": progress,
        "shares": bar,
        "limits": {name: getattr(data, name) for name in DATA_SET_LIMITS if getattr(data, name)},
        "may_change": RawData.objects.changeable_by(user).filter(pk=pk).exists(),
        "shows_ranking": RawData.objects.ranking_visible_to(user).filter(pk=pk).exists(),
        "shows_test_scores": RawData.objects.test_scores_visible_to(user).filter(pk=pk).exists(),
    }
    # What is renewed every few seconds is the submissions alone.
    if data.shows_details and not request.headers.get("HX-Request"):
        context |= {"files": _files(data), "distribution": _distribution(data)}
    return render(request, "dashboard/data_set.html", context)


@dataclasses.dataclass(frozen=True)
class _Files:
    """Names and sizes in bytes of uploaded files, and how many there are beyond those."""

    files: list[tuple[str, int]]
    has_more: bool = False
    note: str = ""


def _files(data: RawData) -> _Files:
    try:
        with os.scandir(settings.ENVIRONMENT.dir_data / data.source_folder) as entries:
            found = list(itertools.islice(entries, _MAX_FILES + 1))
            files = sorted((e.name, e.stat(follow_symlinks=False).st_size) for e in found[:_MAX_FILES])
    except OSError:
        return _Files([], note="The files cannot be read from the shared disk at the moment.")
    return _Files(files, has_more=len(found) > _MAX_FILES)


@dataclasses.dataclass(frozen=True)
class _Part:
    """How many rows of the training or test set have a label, which part of them, and its bar."""

    n_rows: int
    percent: float
    width: float


@dataclasses.dataclass(frozen=True)
class _Label:
    """A class, or a range of the target, in the training and in the test set."""

    name: str
    train: _Part
    test: _Part


def _distribution(data: RawData) -> list[_Label]:
    """How the target is distributed, by classes or ranges; empty where that was not read yet."""
    target = (data.description or {}).get("target")
    if not target:
        return []
    edges = target.get("edges", [])
    names = target.get("classes") or [f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
    n_train, n_test = (sum(target[part]) or 1 for part in ("train", "test"))
    shares_of_all = [n / n_train for n in target["train"]] + [n / n_test for n in target["test"]]
    scale = BAR_UNITS / (max(shares_of_all, default=0.0) or 1.0)

    def part(n: int, n_all: int) -> _Part:
        return _Part(n, 100 * n / n_all, round(scale * n / n_all, 1))

    return [
        _Label(name, part(train, n_train), part(test, n_test))
        for name, train, test in zip(names, target["train"], target["test"], strict=True)
    ]
