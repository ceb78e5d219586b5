"""One datarun and one browser for all tests of the pages, and rows that make every page worth looking at."""

import dataclasses
import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from playwright.sync_api import Browser, StorageState, sync_playwright

from runapp.tests.conftest import SCREENSHOTS
from runapp.tests.e2e import rows
from runapp.tests.e2e.browsing import Browsing, chromium_program, launch
from runapp.tests.factories import PASSWORD
from test_files.client import Datarun, Submission
from test_files.examples import STANDARD_EXAMPLES
from test_files.stack import Stack, manage

STAFF = "tester"
_IRIS = STANDARD_EXAMPLES[0]
_N_TRAIN_ROWS = 120
_FOLD = (np.arange(90), np.arange(90, 120))
_CLASSIFIER = '''"""Prints as it learns."""

import time

import numpy as np


class Classifier:
    def fit(self, X, y):
        for epoch in range({epochs}):
            print("epoch", epoch, flush=True)
            time.sleep(0.1)
        {then}

    def predict_proba(self, X):
        return np.full((len(X), 3), 1 / 3)
'''
_FOREVER = 36_000


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The system's browser; closed after these tests, since Django's others bear no event loop."""
    program = chromium_program()
    if program is None:
        pytest.skip("not installed here: chromium; bash test_files/run_tests.sh installs it")
    with sync_playwright() as playwright:
        browser = launch(playwright, program, tmp_path_factory.mktemp("downloads"))
        yield browser
        browser.close()


@dataclasses.dataclass(frozen=True)
class Rows:
    """Ids of what is there. The runner of low priority never gets done with ``running``."""

    data: int
    tested: Submission
    failed: Submission
    running: Submission
    waiting: Submission
    hostile_data: int
    hostile_submission: int
    hostile_fold: int


Post = Callable[..., Submission]


@pytest.fixture(scope="package")
def submitter(stack: Stack) -> Datarun:
    return Datarun(stack.url, rows.SUBMITTER, PASSWORD)


@pytest.fixture(scope="package")
def stranger_ids(stack: Stack) -> dict[str, int]:
    """Rows that were not posted; the ids of a stranger's."""
    command = "from runapp.tests.e2e import rows; rows.make()"
    made = manage(stack.environment, "shell", "--verbosity", "0", "--command", command)
    ids: dict[str, int] = json.loads(made)
    return ids


@pytest.fixture(scope="package")
def iris_id(stack: Stack, stranger_ids: dict[str, int]) -> int:
    """A data set of the organizer, split and scored."""
    organizer = Datarun(stack.url, rows.ORGANIZER, PASSWORD)
    data = organizer.post_data("iris", _IRIS.target_column, _IRIS.workflow_elements, _IRIS.files)
    answer = requests.patch(
        f"{stack.url}/runapp/rawdata/{data['id']}/", {"scorer": "accuracy"},
        auth=(rows.ORGANIZER, PASSWORD), timeout=30,
    )  # fmt: skip
    answer.raise_for_status()
    return int(data["id"])


@pytest.fixture(scope="package")
def post(
    stack: Stack, submitter: Datarun, iris_id: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Post]:
    """Post a submission that prints a line for each epoch of 0.1 s, and then does what ``then`` says.

    What is not finished in the end is cancelled.
    """
    folder = tmp_path_factory.mktemp("submission")

    def post(*, epochs: int = 1, then: str = "pass", n_folds: int = 1, priority: str = "H") -> Submission:
        (folder / "classifier.py").write_text(_CLASSIFIER.format(epochs=epochs, then=then))
        return submitter.post_submission(iris_id, folder, folds=[_FOLD] * n_folds, priority=priority)

    yield post
    folds = f"{stack.url}/runapp/submissionfold"
    caller = requests.auth.HTTPBasicAuth(rows.SUBMITTER, PASSWORD)
    unfinished = requests.get(f"{folds}-light/", {"state": "TODO"}, auth=caller, timeout=30)
    for fold in unfinished.json():
        requests.post(f"{folds}/{fold['databoard_sf_id']}/cancel/", auth=caller, timeout=30)


@pytest.fixture(scope="package")
def made(submitter: Datarun, iris_id: int, post: Post, stranger_ids: dict[str, int]) -> Rows:
    """Submissions in every state."""
    tested = submitter.post_submission(
        iris_id, _IRIS.submission_folder, folds=list(_four_folds()), priority="H"
    )
    failed = post(epochs=3, then='raise ValueError("Input X contains NaN.")', n_folds=2)
    running = post(epochs=_FOREVER, priority="L")
    waiting = post(priority="L", n_folds=3)
    for submission in (tested, failed):
        submitter.wait(submission, timeout_seconds=60, progress=False)
    return Rows(iris_id, tested, failed, running, waiting, **stranger_ids)


def _four_folds() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    everything = np.arange(_N_TRAIN_ROWS)
    for start in range(0, _N_TRAIN_ROWS, 30):
        test = everything[start : start + 30]
        yield np.setdiff1d(everything, test), test


@pytest.fixture(scope="package")
def logged_in() -> dict[str, StorageState]:
    return {}


@pytest.fixture
def browsing(stack: Stack, chromium: Browser, logged_in: dict[str, StorageState]) -> Iterator[Browsing]:
    """Opens pages, and fails a test in which a page did what none may do."""
    passwords = {rows.ORGANIZER: PASSWORD, rows.SUBMITTER: PASSWORD, STAFF: stack.password}
    browsing = Browsing(stack, chromium, passwords, logged_in)
    yield browsing
    browsing.close()
    assert browsing.complaints == []


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which pictures of the pages are kept."""
    chosen = request.config.getoption("--screenshots")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots", numbered=False)
    folder.mkdir(parents=True, exist_ok=True)
    request.config.stash[SCREENSHOTS] = folder
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep with a failure what was to be seen."""
    report = yield
    browsing = getattr(item, "funcargs", {}).get("browsing")
    if report.when == "call" and report.failed and browsing is not None:
        report.sections.extend(("page", text) for text in browsing.texts())
    return report
