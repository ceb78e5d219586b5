"""A fold in the sandbox predicts bit for bit what the same training predicts in this process."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import threadpoolctl
from sklearn.model_selection import ShuffleSplit

from runapp.contract import SPECIFIC_FILE, Outcome
from runapp.encodings import Predictions
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.prepared import PreparedDataSets
from runapp.runner.job import FoldJob, FoldReport, Launcher, Limits, SplitJob
from test_files.examples import CUSTOM_EXAMPLES, HELD_OUT_TEST, RANDOM_STATE, STANDARD_EXAMPLES, Example
from test_files.local_training import train_in_process

LIMITS = Limits(wall_seconds=120, memory_kb=2 << 20)
THREADS = 2


@pytest.fixture(scope="module")
def threaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedProcess]:
    """A launcher whose folds may use several threads in numerical libraries."""
    folder = tmp_path_factory.mktemp("threaded")
    server = FoldServer(folder / "server", idle_seconds=600)
    data_sets = PreparedDataSets(folder / "prepared", max_bytes=1 << 30)
    yield IsolatedProcess(server, data_sets, isolation="full", threads=THREADS)
    server.close()


def split(launcher: Launcher, example: Example, folder: Path) -> tuple[Path, int, int]:
    """Split an example below ``folder``: the folder of the split, its training and its test rows."""
    source, working = folder / "source", folder / "working"
    source.mkdir()
    for file in example.files:
        shutil.copy(file, source / (SPECIFIC_FILE if file == example.specific_file else file.name))
    if example.specific_file:
        shutil.copytree(source, working)
    else:
        working.mkdir()
    job = SplitJob(
        source_folder=source,
        working_folder=working,
        custom=example.specific_file is not None,
        data_file=example.data_file.name,
        target_column=example.target_column,
        workflow_elements=tuple(example.workflow_elements.split(",")),
        held_out_test=HELD_OUT_TEST,
        random_state=RANDOM_STATE,
    )
    report = launcher.run_split(job, LIMITS, is_cancelled=lambda: False)
    assert report.outcome is Outcome.OK, report.log_messages
    assert report.n_train_rows is not None
    assert report.n_test_rows is not None
    return working, report.n_train_rows, report.n_test_rows


def run(launcher: Launcher, example: Example, folder: Path) -> tuple[FoldReport, FoldJob]:
    data_folder, n_train_rows, n_test_rows = split(launcher, example, folder)
    rows = next(ShuffleSplit(1, random_state=3).split(np.zeros(n_train_rows)))[0]
    job = FoldJob(
        data_folder=data_folder,
        submission_folder=example.submission_folder,
        custom=example.specific_file is not None,
        workflow_elements=tuple(example.workflow_elements.split(",")),
        target_column=example.target_column,
        n_train_rows=n_train_rows,
        n_test_rows=n_test_rows,
        train_is=rows,
    )
    report = launcher.run_fold(job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)
    assert report.outcome is Outcome.OK, report.log_messages
    return report, job


@pytest.mark.parametrize("example", [*STANDARD_EXAMPLES, *CUSTOM_EXAMPLES], ids=lambda example: example.name)
def test_an_example_predicts_the_same_inside_as_here(
    isolated: IsolatedProcess, tmp_path: Path, example: Example
) -> None:
    report, job = run(isolated, example, tmp_path)
    with threadpoolctl.threadpool_limits(1):
        expected = train_in_process(example).predictions(job.train_is)
    assert_same_bits(report.full_train_predictions, expected.full_train)
    assert_same_bits(report.test_predictions, expected.test)


def assert_same_bits(inside: Predictions | None, here: npt.ArrayLike) -> None:
    assert inside is not None
    assert inside.shape == np.shape(here)
    assert inside.tobytes() == np.ascontiguousarray(here, dtype="<f8").tobytes()


THREADED = {
    "boosting": "HistGradientBoostingClassifier(max_iter=30, random_state=0)",
    "forest": "RandomForestClassifier(n_estimators=30, n_jobs=2, random_state=0)",
    "neighbours": "KNeighborsClassifier(3, n_jobs=2)",
    "k-means": "make_pipeline(KMeans(5, n_init=3, random_state=0), LogisticRegression())",
    "components": "make_pipeline(PCA(2, random_state=0), LogisticRegression())",
}


IMPORTS = """
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
"""


@pytest.mark.parametrize("model", THREADED)
def test_threads_of_scikit_learn_predict_the_same(
    threaded: IsolatedProcess, tmp_path: Path, model: str
) -> None:
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "classifier.py").write_text(
        f"""{IMPORTS}
class Classifier:
    def fit(self, X, y):
        self.model = {THREADED[model]}.fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
"""
    )
    example = dataclasses.replace(
        STANDARD_EXAMPLES[0], workflow_elements="classifier", submission_folder=submission
    )
    report, job = run(threaded, example, tmp_path)
    train = pd.read_csv(job.data_folder / "train.csv")
    test = pd.read_csv(job.data_folder / "test.csv")
    X, y = train.drop(columns="species").to_numpy(), train["species"].to_numpy()
    with threadpoolctl.threadpool_limits(THREADS):
        names: dict[str, Any] = {}
        exec(f"{IMPORTS}\nmodel = {THREADED[model]}", names)  # noqa: S102 - the text that runs inside
        here = names["model"].fit(X[job.train_is], y[job.train_is])
        assert_same_bits(report.full_train_predictions, here.predict_proba(X))
        assert_same_bits(report.test_predictions, here.predict_proba(test.drop(columns="species").to_numpy()))
