"""Custom data sets: an organizer's ``specific.py`` around a submission, in fresh processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from runapp.contract import SPECIFIC_FUNCTIONS, Outcome
from runapp.runner.job import FoldJob, FoldReport, SplitJob, SplitReport
from runapp.runner.process import FreshProcess
from runapp.tests.runner.conftest import LIMITS, Submit, predictions_of

pytestmark = pytest.mark.usefixtures("no_process_left")

SPECIFIC = """
import csv
import importlib
import os

import numpy as np

def prepare_data(raw_data_path):
    with open(os.path.join(raw_data_path, "curves.csv")) as stream:
        rows = list(csv.reader(stream))
    for name, part in (("train.txt", rows[:9]), ("test.txt", rows[9:])):
        with open(os.path.join(raw_data_path, name), "w") as stream:
            csv.writer(stream).writerows(part)

def _get(raw_data_path, name):
    with open(os.path.join(raw_data_path, name)) as stream:
        rows = [[float(value) for value in row] for row in csv.reader(stream)]
    return [{"curve": np.array(row[1:])} for row in rows], [row[0] for row in rows]

def get_train_data(raw_data_path):
    return _get(raw_data_path, "train.txt")

def get_test_data(raw_data_path):
    return _get(raw_data_path, "test.txt")

def train_submission(module_path, X, y, train_indices):
    extractor = importlib.import_module(".feature_extractor", module_path).FeatureExtractor()
    regressor = importlib.import_module(".regressor", module_path).Regressor()
    features = extractor.transform([X[i] for i in train_indices])
    regressor.fit(features, np.array(y)[train_indices])
    return extractor, regressor

def test_submission(trained_model, X, test_indices):
    extractor, regressor = trained_model
    return regressor.predict(extractor.transform([X[i] for i in test_indices]))
"""
SUBMISSION = {
    "feature_extractor.py": """
import numpy as np

class FeatureExtractor:
    def transform(self, X):
        return np.array([[x["curve"].mean(), len(x["curve"])] for x in X])
""",
    "regressor.py": "from sklearn.linear_model import LinearRegression as Regressor",
}
CURVES = [[float(i * i), *np.linspace(0, i, 3 + i % 4)] for i in range(14)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The uploaded files, of which a copy is split."""
    folder = tmp_path / "data_set"
    folder.mkdir()
    (folder / "specific.py").write_text(SPECIFIC)
    (folder / "curves.csv").write_text("".join(",".join(map(repr, map(float, row))) + "\n" for row in CURVES))
    return folder


def split(folder: Path) -> SplitReport:
    job = SplitJob(
        source_folder=folder,
        working_folder=folder,
        custom=True,
        data_file=None,
        target_column="",
        workflow_elements=(),
        held_out_test=None,
        random_state=None,
    )
    return FreshProcess().run_split(job, LIMITS, is_cancelled=lambda: False)


@pytest.fixture
def run(source: Path, submit: Submit) -> Callable[..., FoldReport]:
    """Split the data set, then train the submission on four rows."""

    def run(**changes: Any) -> FoldReport:
        assert split(source).outcome is Outcome.OK
        specific = changes.pop("specific", None)
        if specific is not None:
            (source / "specific.py").write_text(specific)
        n_rows = {"n_train_rows": 9, "n_test_rows": 5} | changes
        job = FoldJob(
            data_folder=source,
            submission_folder=submit(SUBMISSION),
            custom=True,
            workflow_elements=(),
            target_column="",
            train_is=np.array([1, 2, 5, 8]),
            **n_rows,
        )
        return FreshProcess().run_fold(job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)

    return run


def test_a_fold_equals_the_same_training_in_process(run: Callable[..., FoldReport]) -> None:
    report = run()
    full_train_predictions, test_predictions = predictions_of(report)
    features = np.array([[np.array(curve[1:]).mean(), len(curve) - 1] for curve in CURVES])
    y = np.array([curve[0] for curve in CURVES])
    model = LinearRegression().fit(features[[1, 2, 5, 8]], y[[1, 2, 5, 8]])
    assert np.array_equal(full_train_predictions, model.predict(features[:9]))
    assert np.array_equal(test_predictions, model.predict(features[9:]))


def test_a_split_counts_the_rows_of_both_parts(source: Path) -> None:
    report = split(source)
    assert (report.outcome, report.n_train_rows, report.n_test_rows) == (Outcome.OK, 9, 5)


@pytest.mark.parametrize("function", SPECIFIC_FUNCTIONS)
def test_a_missing_function_is_named(source: Path, function: str) -> None:
    (source / "specific.py").write_text(SPECIFIC.replace(f"def {function}(", f"def not_{function}("))
    report = split(source)
    assert report.outcome is Outcome.DATA_ERROR
    assert report.log_messages == f"specific.py does not define {function}"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (SPECIFIC.replace("curves.csv", "lost.csv"), "No such file or directory: 'lost.csv'"),
        (SPECIFIC + "def prepare_data(path): raise ValueError('no light')", "ValueError: no light"),
        (SPECIFIC + "def get_test_data(path): return [1, 2, 3]", "must return (X, y), not a list"),
        (SPECIFIC + "def get_train_data(path): return [], []", "a y with at least one row"),
        (SPECIFIC + "def get_train_data(path): return [], 3", "a y with at least one row"),
        ("import nothing_installed", "No module named 'nothing_installed'"),
        ("def prepare_data(:", "SyntaxError"),
    ],
)
def test_what_is_wrong_with_an_organizers_code_is_said(source: Path, code: str, words: str) -> None:
    (source / "specific.py").write_text(code)
    report = split(source)
    assert report.outcome is Outcome.DATA_ERROR
    assert words in report.log_messages
    assert str(source) not in report.log_messages


def test_a_data_set_without_its_code_is_a_data_error(source: Path) -> None:
    (source / "specific.py").unlink()
    assert split(source).log_messages == "the data set has no specific.py"


def test_data_that_changed_their_length_are_a_data_error(run: Callable[..., FoldReport]) -> None:
    report = run(n_test_rows=4)
    assert report.outcome is Outcome.DATA_ERROR
    assert "returned 5 rows; the split counted 4" in report.log_messages


def test_predictions_of_another_length_are_bad_output(run: Callable[..., FoldReport]) -> None:
    report = run(specific=SPECIFIC + "def test_submission(model, X, test_indices): return [1.0]")
    assert report.outcome is Outcome.BAD_OUTPUT
    assert "test_submission must return 9 rows" in report.log_messages
