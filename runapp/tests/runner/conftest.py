"""Data sets and submissions that the tests of the runner share."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.datasets import load_iris

from runapp.contract import Outcome
from runapp.encodings import Predictions
from runapp.runner.job import FoldJob, FoldReport, Limits
from runapp.runner.process import FreshProcess
from runapp.runner.split import split_standard_data

LIMITS = Limits(wall_seconds=60, memory_kb=2 * 1024 * 1024)
HELD_OUT_TEST = 0.2
RANDOM_STATE = 42

CLASSIFIER = """
from sklearn.linear_model import LogisticRegression

class Classifier:
    def fit(self, X, y):
        self.model = LogisticRegression(max_iter=1000).fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
"""

Submit = Callable[[Mapping[str, str]], Path]
RunFold = Callable[..., FoldReport]


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A CSV file and its split; ``frame`` is what a participant reads from the file."""

    file: Path
    folder: Path
    target_column: str
    n_train_rows: int
    n_test_rows: int

    @property
    def frame(self) -> pd.DataFrame:
        return pd.read_csv(self.file)


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """150 irises with their species in words."""
    data = load_iris(as_frame=True)
    frame = data.frame
    frame["species"] = data.target_names[frame.pop("target")]
    folder = tmp_path_factory.mktemp("iris")
    file = folder / "iris.csv"
    frame.to_csv(file, index=False)
    n_train_rows, n_test_rows = split_standard_data(
        file,
        folder,
        target_column="species",
        workflow_elements=("classifier",),
        held_out_test=HELD_OUT_TEST,
        random_state=RANDOM_STATE,
    )
    return DataSet(file, folder, "species", n_train_rows, n_test_rows)


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """Make the folder of a submission."""

    def make(files: Mapping[str, str]) -> Path:
        folder = tmp_path / "packages" / f"submission_{tmp_path.name.replace('-', '_')}"
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_text(content)
        return folder

    return make


def fold_job(data: DataSet, submission: Path, **changes: Any) -> FoldJob:
    """A fold that trains a classifier on the first 80 rows."""
    job = FoldJob(
        data_folder=data.folder,
        submission_folder=submission,
        custom=False,
        workflow_elements=("classifier",),
        target_column=data.target_column,
        n_train_rows=data.n_train_rows,
        n_test_rows=data.n_test_rows,
        train_is=np.arange(80),
    )
    return dataclasses.replace(job, **changes)


def predictions_of(report: FoldReport) -> tuple[Predictions, Predictions]:
    """Both predictions of a fold that went well."""
    assert report.outcome is Outcome.OK, report.log_messages
    assert report.full_train_predictions is not None
    assert report.test_predictions is not None
    return report.full_train_predictions, report.test_predictions


@pytest.fixture
def run_classifier(iris: DataSet, submit: Submit) -> RunFold:
    """Run the code of a ``classifier.py`` in a fresh process; keywords change the limits."""

    def run(code: str, *, is_cancelled: Callable[[], bool] = lambda: False, **limits: Any) -> FoldReport:
        job = fold_job(iris, submit({"classifier.py": code}))
        changed = dataclasses.replace(LIMITS, **limits)
        return FreshProcess().run_fold(job, changed, on_stage=lambda *_: None, is_cancelled=is_cancelled)

    return run


@pytest.fixture
def importing() -> Iterator[None]:
    """Undo what a test imports into this very process."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0].startswith(("submission", "specific")):
            del sys.modules[name]


@pytest.fixture
def no_process_left() -> Iterator[None]:
    """Fail a test after which this process has a child that was not there before.

    Children of children do not count: servers that other tests share start and end helpers as they like.
    """
    before = set(psutil.Process().children())
    yield
    assert set(psutil.Process().children()) - before == set()
