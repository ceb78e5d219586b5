"""Every page, light and dark, on a desk and on a phone."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from runapp.tests.e2e.browsing import DESKTOP, PHONE, Browsing, Scheme, look, too_wide
from runapp.tests.e2e.conftest import STAFF, Rows
from runapp.tests.e2e.rows import ORGANIZER, SUBMITTER


@dataclasses.dataclass(frozen=True)
class Sight:
    """A page as somebody sees it, and the name of its pictures.

    ``ready`` is there once the page is drawn; the pictures show the whole page, or what fits the window.
    """

    name: str
    person: str | None
    path: Callable[[Rows], str]
    may_say: str = ""
    ready: str = "h1"
    whole: bool = True


SIGHTS = (
    Sight("login", None, lambda _: "/"),
    Sight("overview", ORGANIZER, lambda _: "/", ready="[aria-labelledby=running] td", whole=False),
    Sight("overview-staff", STAFF, lambda _: "/"),
    Sight("data-sets", ORGANIZER, lambda _: "/data-sets/"),
    Sight("data-set", ORGANIZER, lambda rows: f"/data-sets/{rows.data}/"),
    Sight("data-set-hostile", STAFF, lambda rows: f"/data-sets/{rows.hostile_data}/"),
    Sight("settings", ORGANIZER, lambda rows: f"/data-sets/{rows.data}/settings/"),
    Sight("ranking", SUBMITTER, lambda rows: f"/data-sets/{rows.data}/ranking/"),
    Sight("submissions", STAFF, lambda _: "/submissions/"),
    Sight("submission", SUBMITTER, lambda rows: f"/submissions/{rows.tested.id}/", ready=".u-wrap"),
    Sight("submission-hostile", STAFF, lambda rows: f"/submissions/{rows.hostile_submission}/"),
    Sight("submission-action", SUBMITTER, lambda rows: f"/submissions/{rows.waiting.id}/cancel/"),
    Sight("fold", SUBMITTER, lambda rows: f"/folds/{rows.tested.fold_ids[0]}/"),
    Sight("fold-failed", SUBMITTER, lambda rows: f"/folds/{rows.failed.fold_ids[0]}/"),
    Sight("fold-running", SUBMITTER, lambda rows: f"/folds/{rows.running.fold_ids[0]}/"),
    Sight("fold-waiting", SUBMITTER, lambda rows: f"/folds/{rows.waiting.fold_ids[0]}/"),
    Sight("fold-hostile", STAFF, lambda rows: f"/folds/{rows.hostile_fold}/"),
    Sight("runners", SUBMITTER, lambda _: "/runners/"),
    Sight("account", SUBMITTER, lambda _: "/account/"),
    Sight("docs", SUBMITTER, lambda _: "/docs/", ready=".opblock"),
    Sight("admin", STAFF, lambda _: "/admin/"),
    Sight("admin-data-sets", STAFF, lambda _: "/admin/runapp/rawdata/"),
    Sight("admin-submissions", STAFF, lambda _: "/admin/runapp/submission/"),
    Sight("admin-folds", STAFF, lambda _: "/admin/runapp/submissionfold/"),
    Sight("admin-fold", STAFF, lambda rows: f"/admin/runapp/submissionfold/{rows.hostile_fold}/change/"),
    Sight("not-found", SUBMITTER, lambda _: "/folds/999999/", may_say="status of 404"),
)
_LOOKS: tuple[tuple[Scheme, int], ...] = (
    ("light", DESKTOP), ("dark", DESKTOP), ("dark", PHONE), ("light", PHONE),
)  # fmt: skip
#: Each scheme and each width is examined once: colours know of no width, and widths of no colour.
_EXAMINED = (("light", DESKTOP), ("dark", PHONE))


@pytest.mark.parametrize("sight", SIGHTS, ids=lambda sight: sight.name)
def test_a_page_fits_its_window_and_can_be_used_by_all(
    browsing: Browsing, made: Rows, screenshots: Path, sight: Sight
) -> None:
    page = browsing.open(sight.person, sight.path(made), may_say=sight.may_say)
    page.locator(sight.ready).first.wait_for()
    page.evaluate(AXE_SCRIPT)  # by the browser's debugger, which the page's policy does not bind

    found: dict[str, list[str]] = {}
    for scheme, width in _LOOKS:
        look(page, scheme, width)
        page.screenshot(path=screenshots / f"{sight.name}-{scheme}-{width}.png", full_page=sight.whole)
        barriers = _barriers(page) if (scheme, width) in _EXAMINED else []
        found[f"{scheme} {width}"] = [*too_wide(page), *barriers]

    assert found == {name: [] for name in found}


def test_a_page_that_asked_elsewhere_would_be_noticed(browsing: Browsing) -> None:
    page = browsing.open(None)

    with page.expect_console_message():
        page.evaluate("fetch('http://elsewhere.example/').catch(() => null)")

    assert any("elsewhere.example" in complaint for complaint in browsing.complaints)
    browsing.complaints.clear()


def _barriers(page: Page) -> list[str]:
    """What axe calls a serious or critical violation on a page."""
    # Without loading style sheets a second time, which it does in a way that a page's policy forbids.
    options = {"resultTypes": ["violations"], "preload": False}
    violations = page.evaluate("(options) => axe.run(options).then((found) => found.violations)", options)
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
