"""The limits of a runner, and of data sets that lower them."""

import dataclasses
from typing import Any

import pytest

from runapp.contract import SOFT_TIME_LIMIT_WORDS, Outcome
from runapp.messages import FoldTask
from runapp.runner.job import Limits
from runapp.runner.limits import fold_limits
from runapp.runner.process import FreshProcess
from runapp.runner.request import decode_request, encode_request
from runapp.tests.runner.conftest import CLASSIFIER, LIMITS, DataSet, Submit, fold_job

OF_RUNNER = Limits(
    wall_seconds=100.0, memory_kb=800 * 1024, output_max_bytes=8 << 20, scratch_kb=80 * 1024, processes=40
)
MB_OF_TASK = {"max_memory_mb": 800, "max_output_mb": 8, "max_scratch_mb": 80}
FIELDS = {
    "max_fold_seconds": "wall_seconds",
    "max_memory_mb": "memory_kb",
    "max_output_mb": "output_max_bytes",
    "max_scratch_mb": "scratch_kb",
    "max_processes": "processes",
}


def limited(**limits: int | None) -> FoldTask:
    """A task of a data set with limits."""
    return FoldTask(
        fold_id=1, task_id="", attempt=1, data_folder="", custom=False, workflow_elements=("classifier",),
        target_column="species", n_train_rows=120, n_test_rows=30, submission_folder="", submission_hash="",
        train_is=None, **limits,
    )  # fmt: skip


def own(name: str) -> int:
    """The runner's own limit in the unit of the task's field."""
    return MB_OF_TASK.get(name) or int(getattr(OF_RUNNER, FIELDS[name]))


@pytest.mark.parametrize("name", FIELDS)
def test_a_data_set_lowers_one_limit_and_leaves_the_others(name: str) -> None:
    limits = fold_limits(OF_RUNNER, limited(**{name: own(name) // 2}))

    changed = {FIELDS[name]: getattr(OF_RUNNER, FIELDS[name]) // 2}
    assert limits == dataclasses.replace(OF_RUNNER, **changed, of_runner=OF_RUNNER)
    whose = {field: limits.whose(field) for field in FIELDS.values()}
    assert whose == dict.fromkeys(FIELDS.values(), "this runner") | {FIELDS[name]: "this data set"}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("more", [0, 1, 2**30])
def test_a_data_set_cannot_raise_a_limit(name: str, more: int) -> None:
    assert fold_limits(OF_RUNNER, limited(**{name: own(name) + more})) == OF_RUNNER


def test_a_fold_of_a_data_set_without_limits_has_those_of_the_runner() -> None:
    assert fold_limits(OF_RUNNER, limited()) is OF_RUNNER


@pytest.mark.parametrize("lower", [{}, {"max_fold_seconds": 1, "max_processes": 2}])
def test_limits_reach_the_process_of_a_fold_as_they_are(
    iris: DataSet, submit: Submit, lower: dict[str, Any]
) -> None:
    limits = fold_limits(OF_RUNNER, limited(**lower))
    assert decode_request(encode_request(fold_job(iris, submit({})), limits))[1] == limits


def fit(iris: DataSet, submit: Submit, body: str, **limits: int) -> tuple[Outcome, str]:
    """Outcome and log of a fold whose ``fit`` begins with ``body``, under limits of its data set."""
    code = CLASSIFIER.replace("    def fit(self, X, y):\n", f"    def fit(self, X, y):\n        {body}\n")
    report = FreshProcess().run_fold(
        fold_job(iris, submit({"classifier.py": code})),
        fold_limits(LIMITS, limited(**limits)),
        on_stage=lambda *_: None,
        is_cancelled=lambda: False,
    )
    return report.outcome, report.log_messages


def test_a_fold_ends_at_the_deadline_of_its_data_set(iris: DataSet, submit: Submit) -> None:
    outcome, log = fit(iris, submit, "while True: pass", max_fold_seconds=1, max_memory_mb=1000)

    assert outcome is Outcome.TIMEOUT
    assert log.startswith(f"{SOFT_TIME_LIMIT_WORDS}: killed after 1 s, the limit of this data set.")


def test_a_fold_ends_at_the_memory_of_its_data_set(iris: DataSet, submit: Submit) -> None:
    body = "import numpy as np; kept = [np.ones(1_000_000) for _ in range(10_000)]"
    outcome, log = fit(iris, submit, body, max_memory_mb=400)

    assert outcome is Outcome.MEMORY
    assert "400 MB are allowed, the limit of this data set." in log


def test_a_fold_over_the_memory_of_the_runner_says_so(iris: DataSet, submit: Submit) -> None:
    body = "import numpy as np; kept = [np.ones(1_000_000) for _ in range(10_000)]"
    outcome, log = fit(iris, submit, body, max_memory_mb=10**6)

    assert outcome is Outcome.MEMORY
    assert "2.0 GB are allowed, the limit of this runner." in log
