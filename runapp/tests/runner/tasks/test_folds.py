"""From the message of a fold to its outcome file, whatever is in the way."""

import dataclasses
import errno
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

from datarun.celery import app
from runapp.content import folder_hash
from runapp.contract import SOFT_TIME_LIMIT_WORDS, Outcome, Queue, State, TaskName
from runapp.encodings import decode_predictions, encode_indices
from runapp.environment import Environment
from runapp.errors import InvalidMessage
from runapp.exchange import Exchange
from runapp.messages import FoldMark, FoldOutcome, FoldTask, SplitOutcome
from runapp.runner import launch, runner, tasks
from runapp.runner.job import FoldJob, FoldReport, IsCancelled, OnStage
from runapp.tests.runner.conftest import CLASSIFIER, DataSet
from runapp.tests.runner.tasks.conftest import FakeLauncher, Rings, assert_is_handed_back, outcome_of

TRAIN_IS = encode_indices(np.arange(80))


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
