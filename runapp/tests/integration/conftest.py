"""Submissions whose behaviour a test can tell apart, and a data set for them."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from test_files.client import Datarun
from test_files.examples import STANDARD_EXAMPLES
from test_files.stack import Stack

_CLASSIFIER = """
import time

import numpy as np


class Classifier:
    def fit(self, X, y):
        time.sleep({fit_seconds})

    def predict_proba(self, X):
        return np.full((len(X), 3), {probability})
"""


@pytest.fixture
def write_submission(tmp_path: Path) -> Callable[..., Path]:
    """Write a submission that always predicts ``probability``, after ``fit_seconds``; its folder."""

    def write(*, probability: float, fit_seconds: float = 0.0) -> Path:
        folder = tmp_path / f"submission_{probability}"
        folder.mkdir()
        code = _CLASSIFIER.format(probability=probability, fit_seconds=fit_seconds)
        (folder / "classifier.py").write_text(code)
        return folder

    return write


@pytest.fixture(scope="session")
def datarun(stack: Stack) -> Datarun:
    return stack.client()


@pytest.fixture(scope="session")
def iris_id(datarun: Datarun) -> int:
    """Id of a data set that is split."""
    example = STANDARD_EXAMPLES[0]
    data = datarun.post_data(
        "iris_of_the_tests", example.target_column, example.workflow_elements, example.files
    )
    return int(data["id"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the processes of the stack wrote last."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack is not None:
        report.sections.extend((f"end of {process.name}", process.log_end()) for process in stack.processes)
    return report
