"""What the buttons do."""

from pathlib import Path

import numpy as np
import pytest
import requests
from playwright.sync_api import Page, expect

from runapp.tests.e2e.browsing import PHONE, Browsing, look, too_wide
from runapp.tests.e2e.conftest import STAFF, Post, Rows
from runapp.tests.e2e.rows import ORGANIZER, SUBMITTER
from test_files.client import Datarun

# Of low priority nothing is run meanwhile, since the runner has no other place.
pytestmark = pytest.mark.usefixtures("made")


def _state(page: Page, word: str) -> None:
    expect(page.locator("h1 .state")).to_have_text(word, timeout=30_000)


def test_a_waiting_fold_is_cancelled_and_trained_anew(browsing: Browsing, post: Post) -> None:
    [fold_id] = post(priority="L").fold_ids
    page = browsing.open(SUBMITTER, f"/folds/{fold_id}/")

    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel").click()
    _state(page, "ERROR")
    page.get_by_role("link", name="Retrain").click()
    page.get_by_role("button", name="Retrain").click()
    _state(page, "TODO")


def test_a_raised_fold_overtakes_those_of_low_priority(browsing: Browsing, post: Post) -> None:
    [fold_id] = post(priority="L").fold_ids
    page = browsing.open(SUBMITTER, f"/folds/{fold_id}/")

    page.get_by_role("button", name="Raise priority").click()

    expect(page.get_by_role("status")).to_contain_text("high priority")
    _state(page, "TESTED")


def test_all_folds_of_a_submission_are_cancelled_at_once(browsing: Browsing, post: Post) -> None:
    submission = post(priority="L", n_folds=3)
    page = browsing.open(SUBMITTER, f"/submissions/{submission.id}/")

    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel").click()

    expect(page.locator("tbody .state", has_text="ERROR")).to_have_count(3)


@pytest.mark.parametrize(("button", "field"), [("Training set", "full_train"), ("Test set", "test")])
def test_predictions_come_as_files_that_numpy_reads(
    browsing: Browsing, made: Rows, submitter: Datarun, tmp_path: Path, button: str, field: str
) -> None:
    page = browsing.open(SUBMITTER, f"/folds/{made.tested.fold_ids[0]}/")
    for kind in (".npy", "CSV"):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"{button}, {kind}").click()
        download.value.save_as(tmp_path / kind)

    stored = getattr(submitter.results(made.tested)[0], f"{field}_predictions")
    np.testing.assert_array_equal(np.load(tmp_path / ".npy", allow_pickle=False), stored)
    from_csv = np.loadtxt(tmp_path / "CSV", delimiter=",", skiprows=1)
    np.testing.assert_allclose(from_csv[:, -stored.shape[1] :], stored)


def test_a_token_works_until_it_is_revoked(browsing: Browsing, screenshots: Path) -> None:
    page = browsing.open(SUBMITTER, "/account/")

    def answer(token: str) -> int:
        headers = {"Authorization": f"Token {token}"}
        return requests.get(f"{browsing.stack.url}/runapp/rawdata/", headers=headers, timeout=30).status_code

    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#new-token").inner_text()
    look(page, "light", PHONE)
    page.screenshot(path=screenshots / f"account-token-light-{PHONE}.png", full_page=True)
    assert too_wide(page) == []
    assert answer(token) == 200
    page.get_by_role("button", name="Revoke the token").click()

    expect(page.get_by_role("status")).to_contain_text("revoked")
    assert answer(token) == 401


def test_an_organizer_changes_limits_and_hides_the_ranking(browsing: Browsing, made: Rows) -> None:
    page = browsing.open(ORGANIZER, f"/data-sets/{made.data}/")
    page.get_by_role("link", name="Scorer, ranking and limits").click()
    page.get_by_label("Scorer", exact=True).fill("no_such_scorer")
    browsing.may_say = "status of 400"
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_visible()

    page.get_by_label("Scorer", exact=True).fill("accuracy")
    page.get_by_label("Submitters see of the ranking").select_option("hidden")
    page.get_by_label("Seconds").fill("3000")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="About")).to_contain_text("3000")
    submitters = browsing.open(SUBMITTER, f"/data-sets/{made.data}/")
    expect(submitters.get_by_role("link", name="Ranking", exact=True)).to_have_count(0)

    page.get_by_role("link", name="Scorer, ranking and limits").click()
    page.get_by_label("Submitters see of the ranking").select_option("validation")
    page.get_by_role("button", name="Save").click()
    submitters.reload()
    expect(submitters.get_by_role("link", name="Ranking", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("action", "done"),
    [
        ("cancel", "are cancelled"),
        ("retrain", "are to be trained anew"),
        ("raise_priority", "are of high priority"),
    ],
)
def test_staff_change_folds_on_the_admin_page(browsing: Browsing, post: Post, action: str, done: str) -> None:
    submission = post(priority="L", n_folds=2)
    page = browsing.open(STAFF, f"/admin/runapp/submissionfold/?q={submission.id}")
    for fold_id in submission.fold_ids:
        link = page.get_by_role("link", name=str(fold_id), exact=True)
        page.get_by_role("row").filter(has=link).get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option(action)
    page.get_by_role("button", name="Go").click()

    expect(page.locator(".messagelist .success")).to_contain_text(f"2 folds {done}")


def test_an_operation_can_be_tried_on_the_api_page(browsing: Browsing, made: Rows) -> None:
    page = browsing.open(SUBMITTER, "/docs/")
    operation = page.locator(".opblock", has_text="/runapp/rawdata/").filter(has_text="GET").first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()

    answer = operation.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    expect(answer).to_contain_text("iris")
