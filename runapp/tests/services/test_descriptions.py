"""What a split data set holds is read once, by the master's worker."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from runapp import tasks
from runapp.contract import SplitState
from runapp.environment import BASE_DIR, Environment
from runapp.models import RawData
from runapp.services.descriptions import MAX_SHOWN_CLASSES, N_BINS, describe_what_is_due
from runapp.services.recovery import ask_for_scores
from runapp.tests import factories
from runapp.tests.conftest import SentTask

pytestmark = pytest.mark.django_db

MakeSplit = Callable[..., RawData]


@pytest.fixture
def make_split(environment: Environment) -> MakeSplit:
    def make(train: list[object], test: list[object], element: str = "classifier") -> RawData:
        """A data set that was split just now, with these labels."""
        data = factories.make_raw_data(
            target_column="y", workflow_elements=element, described_split="", files_path="split-0",
            n_train_rows=len(train), n_test_rows=len(test),
        )  # fmt: skip
        folder = environment.dir_data / data.split_folder
        folder.mkdir(parents=True)
        for name, labels in (("train.csv", train), ("test.csv", test)):
            rows = "".join(f"{i},{label}\n" for i, label in enumerate(labels))
            (folder / name).write_text(f"x,y\n{rows}")
        return data

    return make


def described(data: RawData) -> Any:
    assert describe_what_is_due() == 1
    data.refresh_from_db()
    assert data.described_split == data.split_task_id
    return data.description


def test_classes_are_counted_in_train_and_test(make_split: MakeSplit) -> None:
    description = described(make_split(["b", "a", "b"], ["a", "c"]))

    assert description == {
        "columns": ["x", "y"],
        "n_columns": 2,
        "target": {"classes": ["a", "b", "c"], "n_classes": 3, "train": [1, 2, 0], "test": [1, 0, 1]},
    }


def test_many_classes_are_shown_as_the_most_frequent_and_the_others(make_split: MakeSplit) -> None:
    labels: list[object] = [f"c{i:03}" for i in range(MAX_SHOWN_CLASSES + 5)]
    target = described(make_split([*labels, *labels[:MAX_SHOWN_CLASSES]], labels))["target"]

    assert target["classes"] == [*labels[:MAX_SHOWN_CLASSES], "5 other classes"]
    assert (target["train"][-1], target["test"][-1]) == (5, 5)
    assert sum(target["train"]) == 2 * MAX_SHOWN_CLASSES + 5


def test_a_number_is_counted_by_ranges(make_split: MakeSplit) -> None:
    target = described(make_split([0.0, 10.0, 10.0], [5.0, 0.0], "regressor"))["target"]

    assert len(target["edges"]) == N_BINS + 1
    assert (target["edges"][0], target["edges"][-1]) == (0.0, 10.0)
    assert (target["train"][0], target["train"][-1], sum(target["test"])) == (1, 2, 2)


def test_a_data_set_is_read_once_for_each_split(make_split: MakeSplit, sent_tasks: list[SentTask]) -> None:
    data = make_split(["a", "b"], ["a"])
    ask_for_scores()
    assert [task.name for task in sent_tasks] == ["runapp.tasks.score"]
    tasks.score()

    ask_for_scores()

    assert len(sent_tasks) == 1
    assert describe_what_is_due() == 0
    data.refresh_from_db()
    assert data.description is not None


@pytest.mark.parametrize("state", [SplitState.NONE, SplitState.TODO, SplitState.ERROR])
def test_what_is_not_split_is_not_read(state: SplitState) -> None:
    factories.make_raw_data(state, described_split="")

    assert describe_what_is_due() == 0


@pytest.mark.parametrize("labels", [[float("inf"), 1.0], [float("nan"), 1.0]])
def test_a_target_that_cannot_be_counted_leaves_a_page_without_it(
    make_split: MakeSplit, labels: list[object]
) -> None:
    assert described(make_split(labels, [1.0], "regressor")) is None


def test_files_that_are_away_are_read_when_they_are_back(
    make_split: MakeSplit, environment: Environment
) -> None:
    data = make_split(["a", "b"], ["a"])
    environment.dir_data.rename(environment.dir_data.with_name("away"))
    assert describe_what_is_due() == 0
    environment.dir_data.with_name("away").rename(environment.dir_data)

    assert described(data) is not None


def test_a_web_process_starts_without_scikit_learn_and_pandas() -> None:
    code = (
        "import sys, datarun.wsgi; from django.urls import get_resolver; get_resolver().url_patterns; "
        "import runapp.tasks; print({'sklearn', 'pandas'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=BASE_DIR, capture_output=True, text=True, timeout=120, check=False
    )

    assert ended.stdout.strip() == "set()", ended.stderr
