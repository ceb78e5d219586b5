"""A fold in the sandbox predicts bit for bit what the same training predicts outside."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import threadpoolctl
from sklearn.ensemble import HistGradientBoostingClassifier

from runapp.contract import SPECIFIC_FILE, Outcome
from runapp.environment import BASE_DIR
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.prepared import PreparedDataSets
from runapp.runner.job import FoldJob, FoldReport, Launcher, Limits, SplitJob
from runapp.runner.process import FreshProcess

EXAMPLES = BASE_DIR / "test_files"
LIMITS = Limits(wall_seconds=120, memory_kb=2 << 20)
SUBMISSIONS = sorted(
    str(folder.relative_to(EXAMPLES)) for folder in EXAMPLES.glob("*/submissions/*") if folder.is_dir()
)
TARGETS = {"iris": "species", "diabetes": "progression", "variable_stars": "type"}


def split(launcher: Launcher, example: str, folder: Path) -> SplitJob:
    """Split an example's data below ``folder``; the job tells where."""
    source, working = folder / "source", folder / "working"
    source.mkdir()
    custom = (EXAMPLES / example / f"{example}_datarun.py").exists()
    for file in (EXAMPLES / example).glob("*.csv"):
        (source / file.name).write_bytes(file.read_bytes())
    if custom:
        (source / SPECIFIC_FILE).write_bytes((EXAMPLES / example / f"{example}_datarun.py").read_bytes())
        working = source
    else:
        working.mkdir()
    job = SplitJob(
        source_folder=source,
        working_folder=working,
        custom=custom,
        data_file=None if custom else f"{example}.csv",
        target_column=TARGETS[example],
        workflow_elements=(),
        held_out_test=0.2,
        random_state=42,
    )
    report = launcher.run_split(job, LIMITS, is_cancelled=lambda: False)
    assert report.outcome is Outcome.OK, report.log_messages
    return dataclasses.replace(job, held_out_test=report.n_train_rows, random_state=report.n_test_rows)


def run(launcher: Launcher, data: SplitJob, submission: Path) -> FoldReport:
    elements = tuple(file.stem for file in submission.glob("*.py") if not data.custom)
    n_train_rows = int(data.held_out_test or 0)
    job = FoldJob(
        data_folder=data.working_folder,
        submission_folder=submission,
        custom=data.custom,
        workflow_elements=elements,
        target_column=data.target_column,
        n_train_rows=n_train_rows,
        n_test_rows=int(data.random_state or 0),
        train_is=np.arange(0, n_train_rows, 2),
    )
    return launcher.run_fold(job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_an_example_predicts_the_same_inside_and_outside(
    isolated: IsolatedProcess, tmp_path: Path, name: str
) -> None:
    data = split(isolated, name.split("/")[0], tmp_path)
    inside = run(isolated, data, EXAMPLES / name)
    outside = run(FreshProcess(), data, EXAMPLES / name)
    assert inside.outcome is outside.outcome is Outcome.OK, inside.log_messages
    for kind in ("full_train_predictions", "test_predictions"):
        first, second = getattr(inside, kind), getattr(outside, kind)
        assert first.tobytes() == second.tobytes()
        assert first.shape == second.shape


BOOSTING = """
from sklearn.ensemble import HistGradientBoostingClassifier

class Classifier:
    def fit(self, X, y):
        self.model = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
"""


def test_threads_of_scikit_learn_predict_the_same_as_in_this_process(tmp_path: Path) -> None:
    server = FoldServer(tmp_path / "server", idle_seconds=60)
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30)
    launcher = IsolatedProcess(server, data_sets, isolation="full", threads=2)
    data = split(launcher, "iris", tmp_path)
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "classifier.py").write_text(BOOSTING)
    report = run(launcher, data, submission)
    server.close()
    assert report.outcome is Outcome.OK, report.log_messages
    train = pd.read_csv(data.working_folder / "train.csv")
    test = pd.read_csv(data.working_folder / "test.csv")
    rows = np.arange(0, len(train), 2)
    with threadpoolctl.threadpool_limits(2):
        model = HistGradientBoostingClassifier(max_iter=30, random_state=0)
        model.fit(train.drop(columns="species").to_numpy()[rows], train["species"].to_numpy()[rows])
        expected = model.predict_proba(test.drop(columns="species").to_numpy())
    assert report.test_predictions is not None
    assert report.test_predictions.tobytes() == expected.tobytes()
