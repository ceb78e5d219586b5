"""The pages that the navigation of each page leads to."""

import dataclasses
from typing import Any

from django.http import HttpRequest
from django.urls import reverse


@dataclasses.dataclass(frozen=True)
class Page:
    """A page of the navigation: the name of its path, and its title."""

    path_name: str
    title: str
    for_staff: bool = False


PAGES = (
    Page("overview", "Overview"),
    Page("data-sets", "Data sets"),
    Page("submissions", "Submissions"),
    Page("runner-list", "Runners"),
    Page("docs", "API"),
    Page("admin:index", "Admin", for_staff=True),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context of all templates: ``pages`` that the user may go to, the one that is open marked."""
    # A request that failed early has no user.
    is_staff = getattr(getattr(request, "user", None), "is_staff", False)
    shown = [page for page in PAGES if is_staff or not page.for_staff]
    return {"pages": [_entry(page, request.path) for page in shown]}


def _entry(page: Page, path: str) -> dict[str, Any]:
    address = reverse(page.path_name)
    is_current = path == address if address == "/" else path.startswith(address)
    return {"address": address, "title": page.title, "is_current": is_current}
