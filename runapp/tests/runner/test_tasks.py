"""The runner's tasks, called in this process with an exchange folder of their own."""

import dataclasses
import errno
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery.exceptions import Reject, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

from datarun.celery import app
from runapp.content import folder_hash
from runapp.contract import (
    SOFT_TIME_LIMIT_WORDS,
    FoldMark,
    FoldOutcome,
    FoldTask,
    Outcome,
    Queue,
    SplitOutcome,
    SplitTask,
    State,
    TaskName,
)
from runapp.encodings import decode_predictions, encode_indices
from runapp.environment import Environment
from runapp.errors import InvalidMessage
from runapp.exchange import Exchange
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
from runapp.tests.runner.conftest import CLASSIFIER, DataSet

TRAIN_IS = encode_indices(np.arange(80))


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


@pytest.fixture
def task(place: Environment, iris: DataSet) -> FoldTask:
    """A fold of iris whose files lie where the master puts them."""
    data_folder = place.dir_data / "1" / "split"
    data_folder.mkdir(parents=True)
    for name in ("train.csv", "test.csv"):
        (data_folder / name).write_bytes((iris.folder / name).read_bytes())
    submission = place.dir_submission / "2" / "abc"
    submission.mkdir(parents=True)
    (submission / "classifier.py").write_text(CLASSIFIER)
    return FoldTask(
        fold_id=5,
        task_id=str(uuid.uuid4()),
        attempt=2,
        data_folder="1/split",
        custom=False,
        workflow_elements=("classifier",),
        target_column="species",
        n_train_rows=120,
        n_test_rows=30,
        submission_folder="2/abc",
        submission_hash=folder_hash(submission),
        train_is=TRAIN_IS,
    )


def run(task: FoldTask) -> dict[str, str | None]:
    returned: dict[str, str | None] = tasks.train_test_submission_fold.run(task.to_message())
    return returned


def assert_is_handed_back(deliver: Callable[[], object]) -> None:
    """The task goes back to its queue instead of being done."""
    with pytest.raises(Reject) as caught:
        deliver()
    assert vars(caught.value)["requeue"] is True


def outcome_of(exchange: Exchange) -> FoldOutcome | SplitOutcome:
    (path,) = exchange.outcome_files()
    return exchange.read_outcome(path)


def fold_outcome(exchange: Exchange) -> FoldOutcome:
    outcome = outcome_of(exchange)
    assert isinstance(outcome, FoldOutcome)
    return outcome


def test_a_fold_goes_from_its_message_to_its_outcome_file(
    task: FoldTask, exchange: Exchange, rings: Rings
) -> None:
    assert run(task) == {"state": "TESTED", "outcome": "ok"}

    outcome = fold_outcome(exchange)
    assert (outcome.fold_id, outcome.task_id, outcome.attempt) == (5, task.task_id, 2)
    assert (outcome.outcome, outcome.isolation) == (Outcome.OK, launch.launcher().isolation)
    assert outcome.full_train_predictions_shape == (120, 3)
    assert outcome.test_predictions is not None
    predictions = decode_predictions(outcome.test_predictions, (30, 3))
    assert np.allclose(predictions.sum(axis=1), 1)
    assert outcome.started_at < (outcome.trained_at or 0)
    assert rings.sent == [(TaskName.SAVE, Queue.MASTER)]
    assert exchange.marked_task_ids() == []


def test_a_report_reaches_the_outcome_unchanged(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    run(task)
    outcome = fold_outcome(exchange)
    assert (outcome.train_time, outcome.train_memory, outcome.log_messages) == (1.5, 2048.0, "printed")
    assert (outcome.trained_at, outcome.validated_at, outcome.tested_at) == (10.0, 11.0, 12.0)
    assert outcome.test_predictions_shape == (30,)


def test_a_participants_failure_is_an_outcome_and_no_failure_of_the_task(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    launcher.report = FoldReport(outcome=Outcome.USER_ERROR, log_messages="ValueError: no")
    assert run(task) == {"state": "ERROR", "outcome": "user_error"}
    assert fold_outcome(exchange).full_train_predictions is None
    assert len(rings.sent) == 1


def test_the_mark_tells_how_far_the_fold_is(
    task: FoldTask,
    exchange: Exchange,
    rings: Rings,
    launcher: FakeLauncher,
) -> None:
    states = []

    def during(on_stage: OnStage, is_cancelled: IsCancelled) -> None:
        for state, at in ((State.TRAINED, 3.0), (State.VALIDATED, 4.0)):
            states.append(exchange.read_mark(task.task_id))
            on_stage(state, at)
        states.append(exchange.read_mark(task.task_id))
        assert not is_cancelled()

    launcher.during = during
    run(task)
    assert [mark.state for mark in states if isinstance(mark, FoldMark)] == ["TODO", "TRAINED", "VALIDATED"]
    assert [mark.trained_at for mark in states if isinstance(mark, FoldMark)] == [None, 3.0, 3.0]


def test_a_cancelled_fold_never_starts(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    exchange.cancel(task.task_id)
    assert run(task) == {"state": None, "outcome": None}
    assert launcher.jobs == []
    assert list(exchange.outcome_files()) == []
    assert rings.sent == []


def test_a_second_delivery_of_a_finished_fold_runs_nothing(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    run(task)
    assert run(task) == {"state": None, "outcome": None}
    assert len(launcher.jobs) == 1


def test_a_cancel_is_seen_while_the_fold_runs(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    def during(_: OnStage, is_cancelled: IsCancelled) -> None:
        assert not is_cancelled()
        exchange.cancel(task.task_id)
        assert is_cancelled()

    launcher.during = during
    run(task)
    assert len(launcher.jobs) == 1


@pytest.mark.parametrize("damage", ["changed", "added", "gone", "link"])
def test_files_that_are_not_those_posted_are_never_run(
    task: FoldTask,
    place: Environment,
    exchange: Exchange,
    rings: Rings,
    launcher: FakeLauncher,
    damage: str,
) -> None:
    folder = place.dir_submission / task.submission_folder
    file = folder / "classifier.py"
    if damage == "changed":
        file.write_text(CLASSIFIER + "\n")
    elif damage == "added":
        (folder / "more.py").touch()
    else:
        moved = file.rename(place.dir_submission / "elsewhere.py")
        if damage == "link":
            file.symlink_to(moved)
    assert run(task) == {"state": "ERROR", "outcome": "lost"}
    assert launcher.jobs == []


def test_split_data_that_are_gone_are_lost_and_nobodys_fault(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    assert run(dataclasses.replace(task, data_folder="1/other"))["outcome"] == "lost"
    assert "shared disk" in fold_outcome(exchange).log_messages


@pytest.mark.parametrize(
    ("indices", "words"),
    [([0, 120], r"the index 120; the training set has 120 rows"), ([], "train_is is empty")],
)
def test_indices_beyond_the_training_set_are_a_data_error(
    task: FoldTask,
    exchange: Exchange,
    rings: Rings,
    launcher: FakeLauncher,
    indices: list[int],
    words: str,
) -> None:
    changed = dataclasses.replace(task, train_is=encode_indices(np.array(indices, dtype=np.int64)))
    assert run(changed)["outcome"] == "data_error"
    assert words in fold_outcome(exchange).log_messages
    assert launcher.jobs == []


def test_large_indices_come_by_the_shared_disk(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    exchange.write_indices(task.task_id, encode_indices(np.array([7, 7, 119])))
    run(dataclasses.replace(task, train_is=None))
    (job,) = launcher.jobs
    assert isinstance(job, FoldJob)
    assert job.train_is.tolist() == [7, 7, 119]


def test_large_indices_that_are_gone_are_lost(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    assert run(dataclasses.replace(task, train_is=None))["outcome"] == "lost"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError("a bug")])
def test_a_fault_of_the_runner_is_lost(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher, error: Exception
) -> None:
    def during(*_: object) -> None:
        raise error

    launcher.during = during
    assert run(task)["outcome"] == "lost"
    assert exchange.marked_task_ids() == []


def test_the_workers_soft_limit_is_a_timeout(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    def during(*_: object) -> None:
        raise SoftTimeLimitExceeded

    launcher.during = during
    assert run(task)["outcome"] == "timeout"
    assert SOFT_TIME_LIMIT_WORDS in fold_outcome(exchange).log_messages


def test_a_disk_that_takes_no_mark_hands_the_task_back_before_it_runs(
    task: FoldTask,
    rings: Rings,
    launcher: FakeLauncher,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Exchange, "claim_mark", full)
    assert_is_handed_back(lambda: run(task))
    assert launcher.jobs == []
    assert rings.sent == []


def test_an_outcome_that_cannot_be_written_hands_the_task_back(
    task: FoldTask,
    rings: Rings,
    launcher: FakeLauncher,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Exchange, "write_outcome", gone)
    assert_is_handed_back(lambda: run(task))
    assert rings.sent == []


@pytest.mark.parametrize("passing", [OSError(errno.EIO, "for a moment"), SoftTimeLimitExceeded()])
def test_an_outcome_outlives_a_passing_failure(
    task: FoldTask,
    rings: Rings,
    launcher: FakeLauncher,
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
    passing: Exception,
) -> None:
    monkeypatch.setattr(runner, "WRITE_PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(runner, "_WRITE_PAUSE_SECONDS", 0.0)
    failures = [passing]
    write = Exchange.write_outcome

    def write_later(self: Exchange, outcome: FoldOutcome | SplitOutcome) -> None:
        if failures:
            raise failures.pop()
        write(self, outcome)

    monkeypatch.setattr(Exchange, "write_outcome", write_later)
    assert run(task)["outcome"] == "ok"
    assert fold_outcome(exchange).task_id == task.task_id


def test_a_disk_that_fails_meanwhile_does_not_stop_a_fold(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def during(on_stage: OnStage, is_cancelled: IsCancelled) -> None:
        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "for a while")

        with monkeypatch.context() as disk:
            disk.setattr(Exchange, "write_mark", fail)
            disk.setattr(Exchange, "is_cancelled", fail)
            on_stage(State.TRAINED, 1.0)
            assert not is_cancelled()

    launcher.during = during
    assert run(task)["outcome"] == "ok"


def test_a_broker_that_is_away_loses_no_outcome(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    rings.failure = OperationalError("connection refused")
    assert run(task)["outcome"] == "ok"
    assert fold_outcome(exchange).outcome is Outcome.OK


@pytest.mark.parametrize("folder", ["../../etc", "/etc", "", "2/.."])
def test_a_message_that_leads_out_of_the_folders_is_refused(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher, folder: str
) -> None:
    with pytest.raises(InvalidMessage, match="leads out"):
        run(dataclasses.replace(task, submission_folder=folder))
    assert launcher.jobs == []


@pytest.fixture
def without_time_limits() -> Iterator[None]:
    """A worker that was started without time limits, and is again at the end."""
    before = (app.conf.task_soft_time_limit, app.conf.task_time_limit)
    app.conf.task_soft_time_limit = app.conf.task_time_limit = None
    yield
    app.conf.task_soft_time_limit, app.conf.task_time_limit = before


@pytest.mark.usefixtures("without_time_limits")
def test_the_deadline_lies_before_the_workers_limits(
    task: FoldTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    worker = type("Worker", (), {"soft_time_limit": 60, "time_limit": 90})()
    run(task)
    tasks._keep_time_limits(worker)
    run(dataclasses.replace(task, task_id=str(uuid.uuid4())))
    assert [limits.wall_seconds for limits in launcher.limits] == [300.0, 58.0]


@pytest.fixture
def split_task(place: Environment) -> SplitTask:
    source = place.dir_data / "9" / "raw"
    source.mkdir(parents=True)
    (source / "iris.csv").write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(10)))
    return SplitTask(
        raw_data_id=9,
        task_id=str(uuid.uuid4()),
        attempt=1,
        custom=False,
        source_folder="9/raw",
        split_folder="9/split-1",
        data_file="iris.csv",
        target_column="y",
        workflow_elements=("classifier",),
        held_out_test=0.3,
        random_state=42,
    )


def run_split(task: SplitTask) -> dict[str, bool | None]:
    returned: dict[str, bool | None] = tasks.split_train_test.run(task.to_message())
    return returned


def split_outcome(exchange: Exchange) -> SplitOutcome:
    outcome = outcome_of(exchange)
    assert isinstance(outcome, SplitOutcome)
    return outcome


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_split_makes_its_folder_and_rings(
    split_task: SplitTask, place: Environment, exchange: Exchange, rings: Rings
) -> None:
    assert run_split(split_task) == {"ok": True}
    outcome = split_outcome(exchange)
    assert (outcome.ok, outcome.n_train_rows, outcome.n_test_rows) == (True, 7, 3)
    assert names(place.dir_data / "9" / "split-1") == [".split.json", "test.csv", "train.csv"]
    assert names(place.dir_data / "9") == ["raw", "split-1"]
    assert names(place.dir_data / "9" / "raw") == ["iris.csv"]
    assert rings.sent == [(TaskName.SAVE, Queue.MASTER)]


def test_a_split_of_bad_data_leaves_no_folder(
    split_task: SplitTask, place: Environment, exchange: Exchange, rings: Rings
) -> None:
    assert run_split(dataclasses.replace(split_task, target_column="z")) == {"ok": False}
    outcome = split_outcome(exchange)
    assert "no target column 'z'" in outcome.log_messages
    assert outcome.n_train_rows is None
    assert names(place.dir_data / "9") == ["raw"]


def test_a_split_that_was_made_before_is_kept(
    split_task: SplitTask, place: Environment, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    run_split(split_task)
    (first,) = exchange.outcome_files()
    first.unlink()
    assert run_split(split_task) == {"ok": True}
    assert len(launcher.jobs) == 1
    assert split_outcome(exchange).n_train_rows == 7


def test_of_two_deliveries_of_a_split_the_first_wins(
    split_task: SplitTask, place: Environment, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    def another_delivery(*_: object) -> None:
        folder = place.dir_data / "9" / "split-1"
        folder.mkdir()
        (folder / ".split.json").write_text("[70, 30]")

    launcher.during = another_delivery
    run_split(split_task)
    assert split_outcome(exchange).n_train_rows == 70
    assert names(place.dir_data / "9") == ["raw", "split-1"]


def test_a_custom_split_works_on_a_copy(
    split_task: SplitTask, place: Environment, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    raw = place.dir_data / "9" / "raw"
    seen = []
    launcher.during = lambda *_: seen.append(names(launcher.jobs[0].working_folder))  # type: ignore[union-attr]
    run_split(dataclasses.replace(split_task, custom=True, data_file=None, held_out_test=None))
    assert seen == [["iris.csv"]]
    assert names(raw) == ["iris.csv"]
    assert names(place.dir_data / "9" / "split-1") == [".split.json", "iris.csv", "train.csv"]


def test_a_cancelled_split_never_starts(
    split_task: SplitTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    exchange.cancel(split_task.task_id)
    assert run_split(split_task) == {"ok": None}
    assert launcher.jobs == []


def test_a_split_sees_that_it_is_cancelled(
    split_task: SplitTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    def during(_: OnStage, is_cancelled: IsCancelled) -> None:
        exchange.cancel(split_task.task_id)
        assert is_cancelled()

    launcher.during = during
    run_split(split_task)
    assert len(launcher.jobs) == 1


def test_a_split_stopped_by_the_worker_says_so(
    split_task: SplitTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    def during(*_: object) -> None:
        raise SoftTimeLimitExceeded

    launcher.during = during
    assert run_split(split_task) == {"ok": False}
    assert SOFT_TIME_LIMIT_WORDS in split_outcome(exchange).log_messages


def test_a_split_without_its_files_says_so(
    split_task: SplitTask, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    assert run_split(dataclasses.replace(split_task, source_folder="9/none")) == {"ok": False}
    assert "not on the shared disk" in split_outcome(exchange).log_messages


def test_a_split_that_cannot_be_written_is_handed_back(
    split_task: SplitTask, place: Environment, exchange: Exchange, rings: Rings, launcher: FakeLauncher
) -> None:
    def in_the_way(*_: object) -> None:
        (place.dir_data / "9" / "split-1").write_text("no folder")

    launcher.during = in_the_way
    assert_is_handed_back(lambda: run_split(split_task))
    assert names(place.dir_data / "9") == ["raw", "split-1"]
