"""A host's level is what the canary could do there, and below the minimum no fold runs."""

import dataclasses
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runapp.contract import Outcome
from runapp.environment import Environment
from runapp.errors import ConfigurationError
from runapp.runner import launch
from runapp.runner.isolation import canary, canary_fold, view
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.level import BelowMinimum, Level, Measured
from runapp.runner.isolation.prepared import PreparedDataSets
from runapp.runner.job import FoldJob, FoldReport, Limits


def test_this_host_isolates_fully(isolated: IsolatedProcess) -> None:
    assert canary.measure(isolated) == Measured(Level.FULL)


class Open:
    """A launcher by which the attempts that a test chooses succeed."""

    isolation = "none"

    def __init__(self, *succeeding: str) -> None:
        self._succeeding = succeeding

    def run_fold(self, job: FoldJob, limits: Limits, **_: Any) -> FoldReport:
        del limits
        if '"allocate_kb": 0' not in (job.submission_folder / "targets.json").read_text():
            return FoldReport(outcome=Outcome.MEMORY, log_messages="")
        predicted = np.array(
            [attempt.__name__ in self._succeeding for attempt in canary_fold.ATTEMPTS], float
        )
        return FoldReport(
            outcome=Outcome.OK, log_messages="", full_train_predictions=predicted, test_predictions=predicted
        )


class Killed:
    """A launcher whose runner is killed in the middle of a fold."""

    isolation = "none"

    def run_fold(self, job: FoldJob, limits: Limits, **_: Any) -> FoldReport:
        del job, limits
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL was survived")


@pytest.mark.parametrize(
    ("succeeding", "level"),
    [
        ((), Level.FULL),
        (("fork_without_end",), Level.PARTIAL),
        (("list_devices", "call_the_kernel"), Level.PARTIAL),
        (("read_files",), Level.NONE),
        (("connect", "fork_without_end"), Level.NONE),
        (("read_environments",), Level.NONE),
        (("write_files",), Level.NONE),
    ],
)
def test_the_level_is_what_succeeded(succeeding: tuple[str, ...], level: Level) -> None:
    measured = canary.measure(Open(*succeeding))  # type: ignore[arg-type]
    assert measured.level is level
    for name in succeeding:
        assert name.replace("_", " ") in measured.reason


def test_what_a_killed_canary_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    runner = multiprocessing.get_context("fork").Process(target=canary.measure, args=(Killed(),))
    runner.start()
    runner.join()
    assert runner.exitcode == -signal.SIGKILL
    for folder in tmp_path.iterdir():
        os.utime(folder, (1, 1))
    left = set(tmp_path.iterdir())
    assert left, "the canary was killed before it made a folder"

    canary.measure(Open())  # type: ignore[arg-type]

    assert not set(tmp_path.iterdir())


@pytest.mark.parametrize(
    "attempt",
    [canary_fold.read_files, canary_fold.connect, canary_fold.read_environments, canary_fold.write_files],
)
def test_control_the_canarys_attempts_succeed_without_a_sandbox(tmp_path: Path, attempt: Any) -> None:
    with canary._targets(tmp_path) as targets:
        assert attempt(targets.description)


def test_a_host_without_bubblewrap_says_what_to_install(
    isolated: IsolatedProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del isolated
    monkeypatch.setattr(view.shutil, "which", lambda _: None)  # type: ignore[attr-defined]
    server = FoldServer(tmp_path, idle_seconds=60)
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30)
    measured = canary.measure(IsolatedProcess(server, data_sets, isolation="unknown"))
    assert measured.level is Level.NONE
    assert "apt-get install bubblewrap" in measured.reason


def environment_with(minimum: str | None) -> Environment:
    environment = Environment.read({})
    return dataclasses.replace(environment, variables={"DR_ISOLATION_MINIMUM": minimum} if minimum else {})


@pytest.mark.parametrize(
    ("measured", "minimum", "refused"),
    [
        ("full", None, False), ("partial", None, True), ("none", None, True), ("partial", "partial", False),
        ("none", "partial", True), ("none", "none", False), ("full", "none", False),
    ],
)  # fmt: skip
def test_a_runner_below_the_minimum_refuses_folds_and_says_why(
    monkeypatch: pytest.MonkeyPatch, measured: str, minimum: str | None, refused: bool
) -> None:
    monkeypatch.setattr(launch, "measured", lambda: Measured(Level(measured), "no bubblewrap."))
    environment = environment_with(minimum)
    monkeypatch.setattr(Environment, "read", lambda: environment)
    monkeypatch.setattr(launch, "launcher", launch.launcher.__wrapped__)
    if not refused:
        assert launch.launcher().isolation == measured
        return
    with pytest.raises(BelowMinimum, match=r"no bubblewrap.*DR_ISOLATION_MINIMUM"):
        launch.launcher()


def test_an_unknown_minimum_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="DR_ISOLATION_MINIMUM is 'some'"):
        launch.minimum_level(environment_with("some"))
