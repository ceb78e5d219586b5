"""From the message of a split to its folder and outcome file."""

import dataclasses
import uuid
from pathlib import Path

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from runapp.contract import SOFT_TIME_LIMIT_WORDS, Queue, TaskName
from runapp.environment import Environment
from runapp.exchange import Exchange
from runapp.messages import SplitOutcome, SplitTask
from runapp.runner import tasks
from runapp.runner.job import IsCancelled, OnStage
from runapp.tests.runner.tasks.conftest import FakeLauncher, Rings, assert_is_handed_back, outcome_of


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
