"""The runner's tasks, called in this process with an exchange folder of their own."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from celery.exceptions import Reject

from datarun.celery import app
from runapp.contract import Outcome
from runapp.environment import Environment
from runapp.exchange import Exchange
from runapp.messages import FoldOutcome, SplitOutcome
from runapp.runner import launch, runner, tasks
from runapp.runner.job import (
    FoldJob,
    FoldReport,
    IsCancelled,
    Limits,
    Measures,
    OnOutput,
    OnStage,
    SplitJob,
    SplitReport,
    nobody_reads,
)


class FakeLauncher:
    """Runs nothing; does what a test tells it and remembers what it was asked for."""

    isolation = "fake"

    def __init__(self) -> None:
        self.jobs: list[FoldJob | SplitJob] = []
        self.limits: list[Limits] = []
        self.printed: list[str] = []
        self.during: Callable[[OnStage, IsCancelled], None] = lambda *_: None
        self.report = FoldReport(
            outcome=Outcome.OK,
            log_messages="printed",
            measures=Measures(train_time=1.5, train_memory=2048.0),
            trained_at=10.0,
            validated_at=11.0,
            tested_at=12.0,
            full_train_predictions=np.ones((120, 2)),
            test_predictions=np.zeros(30),
        )
        self.split_report = SplitReport(outcome=Outcome.OK, log_messages="", n_train_rows=7, n_test_rows=3)

    def run_fold(
        self,
        job: FoldJob,
        limits: Limits,
        *,
        on_stage: OnStage,
        is_cancelled: IsCancelled,
        on_output: OnOutput = nobody_reads,
    ) -> FoldReport:
        for text in self.printed:
            on_output(text)
        self.jobs.append(job)
        self.limits.append(limits)
        self.during(on_stage, is_cancelled)
        return self.report

    def run_split(self, job: SplitJob, limits: Limits, *, is_cancelled: IsCancelled) -> SplitReport:
        self.jobs.append(job)
        self.limits.append(limits)
        self.during(lambda *_: None, is_cancelled)
        (job.working_folder / "train.csv").write_text("made")
        return self.split_report


@dataclasses.dataclass
class Rings:
    """How often and how the master was rung."""

    sent: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    failure: Exception | None = None

    def send_task(self, name: str, *, queue: str, **_: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append((name, queue))


@pytest.fixture
def place(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The runner's environment: the folders of this test."""
    monkeypatch.setattr(tasks, "environment", environment)
    monkeypatch.setattr(tasks, "_HAND_BACK_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "WRITE_PATIENCE_SECONDS", 0.0)
    return environment


@pytest.fixture
def exchange(place: Environment) -> Exchange:
    exchange = Exchange(place.exchange_folder)
    exchange.make()
    return exchange


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> Rings:
    rings = Rings()
    monkeypatch.setattr(app, "send_task", rings.send_task)
    return rings


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> FakeLauncher:
    launcher = FakeLauncher()
    monkeypatch.setattr(launch, "launcher", lambda: launcher)
    return launcher


def assert_is_handed_back(deliver: Callable[[], object]) -> None:
    """The task goes back to its queue instead of being done."""
    with pytest.raises(Reject) as caught:
        deliver()
    assert vars(caught.value)["requeue"] is True


def outcome_of(exchange: Exchange) -> FoldOutcome | SplitOutcome:
    (path,) = exchange.outcome_files()
    return exchange.read_outcome(path)
