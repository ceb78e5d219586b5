"""Every page, light and dark, on a desk and on a phone: all can use it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from runapp.tests.e2e.browsing import DESKTOP, PHONE, Browsing, Scheme, too_wide
from runapp.tests.e2e.conftest import STAFF, Rows
from runapp.tests.e2e.rows import ORGANIZER, SUBMITTER


@dataclasses.dataclass(frozen=True)
class Sight:
    """A page as somebody sees it, and the name of its picture."""

    name: str
    person: str | None
    path: Callable[[Rows], str]
    may_say: str = ""


SIGHTS = (
    Sight("login", None, lambda _: "/"),
    Sight("overview", ORGANIZER, lambda _: "/"),
    Sight("overview-staff", STAFF, lambda _: "/"),
    Sight("data-sets", ORGANIZER, lambda _: "/data-sets/"),
    Sight("data-set", ORGANIZER, lambda rows: f"/data-sets/{rows.data}/"),
    Sight("data-set-hostile", STAFF, lambda rows: f"/data-sets/{rows.hostile_data}/"),
    Sight("settings", ORGANIZER, lambda rows: f"/data-sets/{rows.data}/settings/"),
    Sight("ranking", SUBMITTER, lambda rows: f"/data-sets/{rows.data}/ranking/"),
    Sight("submissions", STAFF, lambda _: "/submissions/"),
    Sight("submission", SUBMITTER, lambda rows: f"/submissions/{rows.tested.id}/"),
    Sight("submission-hostile", STAFF, lambda rows: f"/submissions/{rows.hostile_submission}/"),
    Sight("submission-action", SUBMITTER, lambda rows: f"/submissions/{rows.waiting.id}/cancel/"),
    Sight("fold", SUBMITTER, lambda rows: f"/folds/{rows.tested.fold_ids[0]}/"),
    Sight("fold-failed", SUBMITTER, lambda rows: f"/folds/{rows.failed.fold_ids[0]}/"),
    Sight("fold-running", SUBMITTER, lambda rows: f"/folds/{rows.running.fold_ids[0]}/"),
    Sight("fold-waiting", SUBMITTER, lambda rows: f"/folds/{rows.waiting.fold_ids[0]}/"),
    Sight("fold-hostile", STAFF, lambda rows: f"/folds/{rows.hostile_fold}/"),
    Sight("runners", SUBMITTER, lambda _: "/runners/"),
    Sight("account", SUBMITTER, lambda _: "/account/"),
    Sight("docs", SUBMITTER, lambda _: "/docs/"),
    Sight("admin", STAFF, lambda _: "/admin/"),
    Sight("admin-data-sets", STAFF, lambda _: "/admin/runapp/rawdata/"),
    Sight("admin-submissions", STAFF, lambda _: "/admin/runapp/submission/"),
    Sight("admin-folds", STAFF, lambda _: "/admin/runapp/submissionfold/"),
    Sight("admin-fold", STAFF, lambda rows: f"/admin/runapp/submissionfold/{rows.hostile_fold}/change/"),
    Sight("not-found", SUBMITTER, lambda _: "/folds/999999/", may_say="status of 404"),
)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS, ids=lambda sight: sight.name)
def test_a_page_can_be_used_by_all(
    browsing: Browsing, made: Rows, screenshots: Path, sight: Sight, scheme: Scheme, width: int
) -> None:
    page = browsing.open(sight.person, sight.path(made), scheme=scheme, width=width, may_say=sight.may_say)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=screenshots / f"{sight.name}-{scheme}-{width}.png", full_page=True)

    assert too_wide(page) == []
    found = Axe().run(page).response["violations"]
    assert [
        f"{problem['id']}: {node['target']} {node['failureSummary']}"
        for problem in found if problem["impact"] in ("serious", "critical")
        for node in problem["nodes"]
    ] == []  # fmt: skip
