"""The ways through the pages: in and out, to each page by clicking, and by the keyboard alone."""

import re

import pytest
from playwright.sync_api import Page, expect

from runapp.tests.e2e.browsing import Browsing, log_in
from runapp.tests.e2e.conftest import STAFF, Post, Rows
from runapp.tests.e2e.rows import ORGANIZER, SUBMITTER
from runapp.tests.factories import PASSWORD

pytestmark = pytest.mark.usefixtures("made")

_MOST_STOPS = 60


def _navigate(page: Page, title: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=title, exact=True).click()
    expect(page.locator("nav[aria-label=Main] [aria-current=page]")).to_have_text(title)


def _heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


def test_who_logs_in_comes_to_the_page_they_asked_for_and_out_again(browsing: Browsing, made: Rows) -> None:
    page = browsing.open(None, f"/submissions/{made.tested.id}/")
    log_in(page, SUBMITTER, "a wrong password")
    expect(page.get_by_role("alert")).to_contain_text("do not match")

    log_in(page, SUBMITTER, PASSWORD)
    _heading(page, f"Submission {made.tested.id}")
    page.get_by_role("button", name="Log out").click()
    page.goto("/")

    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_an_organizer_reaches_every_page_by_clicking(browsing: Browsing, made: Rows) -> None:
    page = browsing.open(ORGANIZER)
    page.get_by_role("region", name="Latest failures").get_by_role("link", name="Fold").first.click()
    _heading(page, "Fold")
    page.get_by_role("navigation", name="Where this is").get_by_role(
        "link", name=re.compile(r"Submission \d+")
    ).click()
    _heading(page, "Submission")
    _navigate(page, "Data sets")
    page.get_by_role("link", name="iris", exact=True).click()
    page.get_by_role("link", name="Ranking", exact=True).click()
    _heading(page, "Ranking")
    page.get_by_role("link", name=str(made.tested.id), exact=True).click()
    page.get_by_role("link", name=str(made.tested.fold_ids[0]), exact=True).click()
    _heading(page, f"Fold {made.tested.fold_ids[0]}")
    _navigate(page, "Runners")
    _navigate(page, "API")
    expect(page.locator(".opblock").first).to_be_visible()


def test_a_submitter_finds_what_is_theirs_and_no_settings(browsing: Browsing, made: Rows) -> None:
    page = browsing.open(SUBMITTER)
    _navigate(page, "Submissions")
    page.get_by_label("Folds").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("link", name=str(made.tested.id), exact=True)).to_have_count(0)
    page.get_by_role("link", name=str(made.failed.id), exact=True).click()
    _heading(page, f"Submission {made.failed.id}")

    page.goto(f"/data-sets/{made.data}/")
    expect(page.get_by_role("link", name="Scorer, ranking and limits")).to_have_count(0)
    expect(page.get_by_role("link", name="Admin")).to_have_count(0)
    page.get_by_role("link", name=SUBMITTER, exact=True).click()
    _heading(page, "Your account")


def test_staff_reach_the_admin_pages_of_a_fold(browsing: Browsing, made: Rows) -> None:
    page = browsing.open(STAFF)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Admin").click()
    page.locator("#content").get_by_role("link", name="Submissions on folds", exact=True).click()
    page.locator("#searchbar").fill(str(made.hostile_fold))
    page.get_by_role("button", name="Search").click()
    page.locator("#result_list").get_by_role("link", name=str(made.hostile_fold), exact=True).click()

    expect(page.locator("#content")).to_contain_text("<script>alert('x')</script>")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_chooses_a_theme_keeps_it(browsing: Browsing, scheme: str) -> None:
    page = browsing.open(SUBMITTER, scheme="light" if scheme == "light" else "dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    preferred = page.evaluate(ground)
    page.get_by_role("button", name="Dark").click()
    chosen = page.evaluate(ground)

    page.goto("/submissions/")

    assert chosen != preferred
    assert page.evaluate(ground) == chosen
    pressed = "false" if scheme == "dark" else "true"
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", pressed)


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called ``name`` is focused, and seen to be."""
    for _ in range(_MOST_STOPS):
        page.keyboard.press("Tab")
        if page.evaluate("(document.activeElement.textContent || '').trim()") == name:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"the focus on {name} is not seen"
            return
    raise AssertionError(f"{_MOST_STOPS} times Tab did not lead to {name}")


def test_a_fold_can_be_cancelled_by_the_keyboard_alone(browsing: Browsing, post: Post) -> None:
    submission = post(priority="L")
    [fold_id] = submission.fold_ids
    page = browsing.open(None)
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type(SUBMITTER)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    _heading(page, "Overview")

    for name, heading in (
        ("Skip to the content", "Overview"), ("Submissions", "Submissions"),
        (str(submission.id), f"Submission {submission.id}"), (str(fold_id), f"Fold {fold_id}"),
        ("Cancel", f"Cancel fold {fold_id}?"), ("Cancel", f"Fold {fold_id}"),
    ):  # fmt: skip
        _tab_to(page, name)
        page.keyboard.press("Enter")
        _heading(page, heading)
        if name == "Skip to the content":
            expect(page.locator("main")).to_be_focused()
            page.goto("/")

    expect(page.get_by_role("status")).to_have_text(f"Fold {fold_id} is cancelled.")
