"""Pages that follow what happens, and stay where their reader is."""

import re

import requests
from playwright.sync_api import expect

from runapp.tests.e2e.browsing import Browsing
from runapp.tests.e2e.conftest import Post, Rows
from runapp.tests.e2e.rows import SUBMITTER
from runapp.tests.factories import PASSWORD
from test_files.client import Datarun
from test_files.processes import wait_until


def _count_tested(browsing: Browsing) -> int:
    """How many folds that the submitter sees are tested, as the API says."""
    answer = requests.get(
        f"{browsing.stack.url}/runapp/submissionfold-light/", {"state": "TESTED"},
        auth=(SUBMITTER, PASSWORD), timeout=30,
    )  # fmt: skip
    answer.raise_for_status()
    return len(answer.json())


def test_the_overview_counts_a_fold_that_finishes_without_moving_the_focus(
    browsing: Browsing, made: Rows, post: Post, submitter: Datarun
) -> None:
    page = browsing.open(SUBMITTER)
    tested = page.locator(".tile.state-tested strong")
    before = int(tested.inner_text())
    page.evaluate("window.isTheSamePage = true")
    summary = page.locator("#history-table > summary")
    summary.focus()
    summary.press("Enter")

    submission = post()

    def counts_it() -> bool:
        # Folds that other tests left may finish meanwhile, too.
        return before < int(tested.inner_text()) == _count_tested(browsing)

    submitter.wait(submission, timeout_seconds=30, progress=False)
    wait_until(counts_it, seconds=30, what="the overview counts the fold")
    expect(summary).to_be_focused()
    expect(page.locator("#history-table")).to_have_attribute("open", "")
    assert page.evaluate("window.isTheSamePage")


def test_what_a_running_fold_prints_is_shown_while_it_runs(browsing: Browsing, made: Rows) -> None:
    page = browsing.open(SUBMITTER, f"/folds/{made.running.fold_ids[0]}/")
    log = page.get_by_role("region", name="Log so far").locator("pre")
    expect(log).to_contain_text("epoch", timeout=30_000)
    seen = max(int(number) for number in re.findall(r"epoch (\d+)", log.inner_text()))

    expect(log).to_contain_text(f"epoch {seen + 20}", timeout=30_000)
    expect(page.locator("h1")).to_contain_text("training")


def test_a_page_says_that_the_server_is_away_until_it_is_back(browsing: Browsing, made: Rows) -> None:
    page = browsing.open(SUBMITTER, f"/folds/{made.running.fold_ids[0]}/")
    browsing.may_say = "ERR_INTERNET_DISCONNECTED|^htmx:"
    note = page.locator(".away")

    page.context.set_offline(True)
    expect(note).to_be_visible(timeout=15_000)
    page.context.set_offline(False)

    expect(note).to_be_hidden(timeout=15_000)
