"""The engine inside the fold's process, here in this one: what it reports in every case."""

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runapp.contract import Outcome
from runapp.runner.fold import run_fold, run_split
from runapp.runner.job import FoldJob, SplitJob
from runapp.runner.limits import run_limits
from runapp.runner.request import decode_request, encode_request
from runapp.runner.result_stream import Predictions, Stage
from runapp.tests.runner.conftest import CLASSIFIER, LIMITS, DataSet, Submit, fold_job
from runapp.tests.runner.test_custom import SPECIFIC, SUBMISSION

pytestmark = pytest.mark.usefixtures("importing")


@dataclasses.dataclass
class Reports:
    """Remembers what was reported."""

    stages: list[Stage] = dataclasses.field(default_factory=list)
    failure: tuple[Outcome, str] | None = None
    predictions: tuple[Predictions, Predictions] | None = None
    rows: tuple[int, int] | None = None

    def stage(self, stage: Stage) -> None:
        self.stages.append(stage)

    def failed(self, outcome: Outcome, log: str) -> None:
        self.failure = (outcome, log)

    def fold_done(self, full_train_predictions: Predictions, test_predictions: Predictions) -> None:
        self.predictions = (full_train_predictions, test_predictions)

    def split_done(self, n_train_rows: int, n_test_rows: int) -> None:
        self.rows = (n_train_rows, n_test_rows)


def run(job: FoldJob) -> Reports:
    reports = Reports()
    run_fold(job, reports)
    return reports


def test_a_fold_reports_its_stages_and_predictions(iris: DataSet, submit: Submit) -> None:
    reports = run(fold_job(iris, submit({"classifier.py": CLASSIFIER})))
    assert reports.stages == list(Stage)
    assert reports.predictions is not None
    assert [array.shape for array in reports.predictions] == [(120, 3), (30, 3)]


@pytest.mark.parametrize(
    ("code", "outcome", "stages"),
    [
        ("raise SystemExit(0)", Outcome.USER_ERROR, [Stage.LOADED]),
        ("raise KeyboardInterrupt", Outcome.USER_ERROR, [Stage.LOADED]),
        ("class Classifier:\n    def fit(self, X y): pass", Outcome.USER_ERROR, [Stage.LOADED]),
        ("raise MemoryError", Outcome.MEMORY, [Stage.LOADED]),
        ("", Outcome.USER_ERROR, [Stage.LOADED]),
        (
            f"{CLASSIFIER}\nClassifier.predict_proba = lambda self, X: None",
            Outcome.BAD_OUTPUT,
            [Stage.LOADED, Stage.TRAINED],
        ),
    ],
)
def test_a_failure_reports_how_far_it_came(
    iris: DataSet, submit: Submit, code: str, outcome: Outcome, stages: list[Stage]
) -> None:
    reports = run(fold_job(iris, submit({"classifier.py": code})))
    assert reports.failure is not None
    assert reports.failure[0] is outcome
    assert reports.stages == stages


def test_an_exception_that_cannot_be_written_down_is_still_reported(iris: DataSet, submit: Submit) -> None:
    code = """
class Unspeakable(Exception):
    def __getattribute__(self, name):
        raise KeyboardInterrupt

raise Unspeakable
"""
    reports = run(fold_job(iris, submit({"classifier.py": code})))
    assert reports.failure == (Outcome.USER_ERROR, "Unspeakable, whose traceback cannot be written")


def test_chained_errors_show_no_frame_of_the_engine(iris: DataSet, submit: Submit) -> None:
    code = """
try:
    1 / 0
except ZeroDivisionError as error:
    raise ExceptionGroup("both", [ValueError(1)]) from error
"""
    reports = run(fold_job(iris, submit({"classifier.py": code})))
    assert reports.failure is not None
    log = reports.failure[1]
    assert "ZeroDivisionError" in log
    assert "ValueError: 1" in log
    assert "runapp/runner" not in log


def custom_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "custom"
    folder.mkdir()
    (folder / "specific.py").write_text(SPECIFIC)
    (folder / "curves.csv").write_text("".join(f"{i},{i},{i + 1}\n" for i in range(14)))
    return folder


def split_job(folder: Path, **changes: Any) -> SplitJob:
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
    return dataclasses.replace(job, **changes)


def test_a_custom_data_set_is_split_then_learned_from(tmp_path: Path, submit: Submit, iris: DataSet) -> None:
    folder = custom_folder(tmp_path)
    split = Reports()
    run_split(split_job(folder), split)
    assert split.rows == (9, 5)
    job = fold_job(
        iris,
        submit(SUBMISSION),
        data_folder=folder,
        custom=True,
        n_train_rows=9,
        n_test_rows=5,
        train_is=np.arange(4),
    )
    reports = run(job)
    assert reports.failure is None
    assert reports.predictions is not None
    assert np.allclose(reports.predictions[1], np.arange(9, 14))


def test_a_standard_split_needs_its_file_and_part(tmp_path: Path, iris: DataSet) -> None:
    reports = Reports()
    run_split(split_job(tmp_path, custom=False), reports)
    assert reports.failure is not None
    assert reports.failure[0] is Outcome.DATA_ERROR
    done = Reports()
    standard = split_job(
        iris.file.parent,
        working_folder=tmp_path,
        custom=False,
        data_file=iris.file.name,
        target_column="species",
        held_out_test=0.5,
    )
    run_split(standard, done)
    assert done.rows == (75, 75)


def test_a_request_comes_through_unchanged(iris: DataSet, submit: Submit) -> None:
    job = fold_job(iris, submit({}), train_is=np.array([1, 2**40]))
    decoded, limits = decode_request(encode_request(job, LIMITS))
    assert limits == LIMITS
    assert isinstance(decoded, FoldJob)
    assert decoded.train_is.tolist() == [1, 2**40]
    assert dataclasses.replace(decoded, train_is=job.train_is) == job
    split = split_job(iris.folder, workflow_elements=("regressor",))
    assert decode_request(encode_request(split, LIMITS)) == (split, LIMITS)


@pytest.mark.parametrize(
    ("soft", "hard", "seconds"),
    [(None, None, 300.0), (100.0, 200.0, 98.0), (None, 10.0, 9.0), (5.0, None, 4.5)],
)
def test_a_deadline_lies_before_the_limit_of_the_worker(
    environment: Any, soft: float | None, hard: float | None, seconds: float
) -> None:
    assert run_limits(environment, soft=soft, hard=hard, default_seconds=300.0).wall_seconds == seconds


def test_memory_is_a_setting_and_half_the_machine_without_it(environment: Any) -> None:
    default = run_limits(environment, soft=None, hard=None, default_seconds=1.0)
    assert default.memory_kb > 1024
    chosen = dataclasses.replace(environment, variables={"DR_FOLD_MEMORY_MB": "700"})
    assert run_limits(chosen, soft=None, hard=None, default_seconds=1.0).memory_kb == 700 * 1024


def test_a_runner_imports_no_database_and_no_data_library() -> None:
    code = "import runapp.runner.tasks, sys, json; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    modules = set(json.load(io.StringIO(printed.splitlines()[-1])))
    assert not modules & {"django.db", "psycopg", "pandas", "sklearn", "runapp.models"}
