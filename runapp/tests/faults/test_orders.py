"""What people order a running datarun to do: cancel, drain, resume, and say how it is."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests

from runapp.tests.faults import harm
from test_files import post_api
from test_files.client import Datarun, Submission
from test_files.processes import ProcessFailed, wait_until
from test_files.stack import Stack, manage

#: How long the program sleeps that a submission starts: the name by which a test finds it.
_SLEEP = "98765.4321"
_SLEEPER = f"""
import subprocess


class Classifier:
    def fit(self, X, y):
        subprocess.run(["sleep", "{_SLEEP}"], check=True)

    def predict_proba(self, X):
        raise AssertionError
"""
_QUICK = """
import numpy as np


class Classifier:
    def fit(self, X, y):
        pass

    def predict_proba(self, X):
        return np.full((len(X), 3), 0.25)
"""
_GONE_SECONDS = 1.0
_FOLD = (np.arange(100), np.arange(100, 120))


@pytest.fixture
def post(harmed: Stack, iris_id: int, tmp_path: Path) -> Callable[..., Submission]:
    """Post a submission with this code on one fold."""

    def post(code: str) -> Submission:
        folder = tmp_path / str(time.monotonic_ns())
        folder.mkdir()
        (folder / "classifier.py").write_text(code)
        return harmed.client().post_submission(iris_id, folder, folds=[_FOLD])

    return post


@pytest.fixture
def drained(harmed: Stack) -> Iterator[str]:
    """This host, whose runners take no tasks."""
    host = socket.gethostname()
    manage(harmed.environment, "drain", host)
    wait_until(lambda: _refusals(harmed) == len(harmed.runners), seconds=30, what="the end of taking tasks")
    yield host
    if (harmed.exchange_folder / "drained" / host).exists():
        manage(harmed.environment, "resume", host)


def _refusals(stack: Stack) -> int:
    return sum(
        runner.log_since_start().count("takes no tasks") > runner.log_since_start().count("takes tasks again")
        for runner in stack.runners
    )


def _sleeps() -> bool:
    for process in psutil.process_iter():
        try:
            if _SLEEP in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return False


def _cancel(stack: Stack, submission: Submission) -> requests.Response:
    path = f"submissionfold/{submission.fold_ids[0]}/cancel/"
    return post_api.send_request("POST", stack.url, stack.username, stack.password, path)


def _state(datarun: Datarun, submission: Submission) -> tuple[str, str]:
    [result] = datarun.results(submission)
    return result.state, result.outcome


def test_a_cancelled_fold_s_processes_are_gone_and_its_place_is_free(
    post: Callable[..., Submission], harmed: Stack
) -> None:
    datarun = harmed.client()
    submission = post(_SLEEPER)
    wait_until(_sleeps, seconds=60, what="the start of the fold")

    assert _cancel(harmed, submission).status_code == 200

    answered = time.monotonic()
    assert _state(datarun, submission) == ("ERROR", "cancelled")
    wait_until(lambda: not _sleeps(), seconds=30, what="the end of the fold's processes")
    assert time.monotonic() - answered < _GONE_SECONDS
    wait_until(lambda: not harm.marks(harmed), seconds=30, what="the end of its lease")
    datarun.wait(post(_QUICK), timeout_seconds=60, progress=False)
    assert _state(datarun, submission) == ("ERROR", "cancelled")


def test_a_fold_that_is_cancelled_in_the_queue_never_starts(
    post: Callable[..., Submission], harmed: Stack, drained: str
) -> None:
    datarun = harmed.client()
    cancelled, other = post(_SLEEPER), post(_QUICK)
    _cancel(harmed, cancelled).raise_for_status()

    manage(harmed.environment, "resume", drained)

    datarun.wait(other, timeout_seconds=60, progress=False)
    detail = post_api.get_submission_fold_detail(
        harmed.url, harmed.username, harmed.password, cancelled.fold_ids[0]
    ).json()
    assert (detail["outcome"], detail["runner"], detail["attempts"]) == ("cancelled", "", 0)
    assert not _sleeps()


def test_a_drained_host_takes_nothing_until_it_is_resumed(
    post: Callable[..., Submission], harmed: Stack, drained: str
) -> None:
    datarun = harmed.client()
    submission = post(_QUICK)
    with pytest.raises(ProcessFailed, match=r"manage\.py resume"):
        manage(harmed.environment, "doctor", "--no-canary")
    assert _state(datarun, submission) == ("TODO", "")

    manage(harmed.environment, "resume", drained)

    datarun.wait(submission, timeout_seconds=60, progress=False)
    assert _state(datarun, submission) == ("TESTED", "ok")


def test_the_doctor_is_content_with_a_datarun_that_is_well_and_leaves_nothing(harmed: Stack) -> None:
    text = manage(harmed.environment, "doctor")
    assert "WRONG" not in text
    assert "canary fold: posted, trained and saved in" in text
    names = [
        data["name"] for data in post_api.get_raw_data(harmed.url, harmed.username, harmed.password).json()
    ]
    assert not [name for name in names if "canary" in name]


def test_the_doctor_names_a_redis_that_is_away(harmed: Stack) -> None:
    harmed.services.redis.kill()
    with pytest.raises(ProcessFailed, match="start Redis"):
        manage(harmed.environment, "doctor", "--no-canary")
