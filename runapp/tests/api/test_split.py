"""``rawdata/split/`` and ``rawdata/customsplit/``: asking for the split of a data set."""

import json
import math
from typing import Any

import pytest

from runapp.contract import SplitState
from runapp.environment import Environment
from runapp.messages import SplitTask
from runapp.models import RawData
from runapp.tests import factories
from runapp.tests.api.conftest import Caller
from runapp.tests.conftest import SentTask

SPLIT, CUSTOM = "rawdata/split/", "rawdata/customsplit/"


def post_custom_data(api: Caller, source: bytes = factories.SPECIFIC) -> int:
    files = factories.encoded_files({"reader.py": source, "curves.bin": b"\0"})
    return int(api.post_data(name="stars", workflow_elements="", files=files).json()["id"])


def sent_message(task: SentTask) -> SplitTask:
    return SplitTask.from_message(json.loads(json.dumps(task.message)))


@pytest.mark.parametrize("path", [SPLIT, "raw_data/split/"])
def test_a_split_is_sent_to_the_runners_and_its_task_named(
    api: Caller, sent_tasks: list[SentTask], path: str
) -> None:
    raw_data_id = api.post_data().json()["id"]

    answer = api.post(path, {"raw_data_id": raw_data_id, "held_out_test": 0.7, "random_state": 7})

    assert answer.status_code == 200
    (task,) = sent_tasks
    assert answer.json() == {"task_id": task.task_id}
    assert (task.name, task.queue) == ("runapp.tasks.split_train_test", "celery")
    message = sent_message(task)
    assert (message.raw_data_id, message.task_id) == (raw_data_id, task.task_id)
    assert (message.custom, message.data_file) == (False, "iris.csv")
    assert (message.held_out_test, message.random_state) == (0.7, 7)
    raw_data = RawData.objects.get()
    assert (raw_data.split_state, raw_data.split_task_id) == (SplitState.TODO, task.task_id)
    assert raw_data.split_sent_at is not None


def test_the_random_state_is_42_unless_said(api: Caller, sent_tasks: list[SentTask]) -> None:
    api.post(SPLIT, {"raw_data_id": factories.make_raw_data(SplitState.NONE).pk, "held_out_test": 0.5})

    assert sent_message(sent_tasks[0]).random_state == 42


@pytest.mark.parametrize("path", [CUSTOM, "raw_data/customsplit/"])
def test_a_custom_data_set_is_prepared_by_its_own_functions(
    api: Caller, sent_tasks: list[SentTask], path: str
) -> None:
    raw_data_id = post_custom_data(api)

    answer = api.post(path, {"raw_data_id": raw_data_id})

    assert answer.status_code == 200
    message = sent_message(sent_tasks[0])
    assert answer.json() == {"task_id": message.task_id}
    assert (message.custom, message.data_file, message.held_out_test) == (True, None, None)


def test_each_split_gets_a_folder_of_its_own(api: Caller, sent_tasks: list[SentTask]) -> None:
    raw_data = factories.make_raw_data()

    for _ in range(2):
        api.post(SPLIT, {"raw_data_id": raw_data.pk, "held_out_test": 0.5})

    first, second = map(sent_message, sent_tasks)
    assert first.split_folder != second.split_folder
    raw_data.refresh_from_db()
    assert raw_data.split_folder == second.split_folder
    assert (raw_data.split_state, raw_data.n_train_rows) == (SplitState.TODO, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"raw_data_id": None}, "raw_data_id"), ({"raw_data_id": "x"}, "raw_data_id"),
        ({"raw_data_id": 4711}, "raw_data_id"), ({"raw_data_id": -1}, "raw_data_id"),
        ({"raw_data_id": 2**31}, "raw_data_id"), ({"raw_data_id": 10**400}, "raw_data_id"),
        ({"raw_data_id": True}, "raw_data_id"), ({"raw_data_id": 1.5}, "raw_data_id"),
        ({"raw_data_id": [1]}, "raw_data_id"), ({"held_out_test": None}, "held_out_test"),
        ({"held_out_test": 0}, "held_out_test"), ({"held_out_test": 1}, "held_out_test"),
        ({"held_out_test": -0.5}, "held_out_test"), ({"held_out_test": "nan"}, "held_out_test"),
        ({"held_out_test": "inf"}, "held_out_test"), ({"held_out_test": "half"}, "held_out_test"),
        ({"held_out_test": True}, "held_out_test"), ({"held_out_test": [0.5]}, "held_out_test"),
        ({"random_state": -1}, "random_state"), ({"random_state": 2**32}, "random_state"),
        ({"random_state": "x"}, "random_state"), ({"random_state": None}, "random_state"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_split_is_named_and_nothing_is_sent(
    api: Caller, sent_tasks: list[SentTask], change: dict[str, Any], field: str
) -> None:
    body = {"raw_data_id": factories.make_raw_data().pk, "held_out_test": 0.5} | change

    with factories.nothing_written():
        answer = api.post(SPLIT, body)

    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert sent_tasks == []


def test_not_a_number_is_refused(api: Caller) -> None:
    raw_data = factories.make_raw_data()

    with factories.nothing_written():
        answer = api.post(SPLIT, json.dumps({"raw_data_id": raw_data.pk, "held_out_test": math.nan}))

    assert answer.status_code == 400


@pytest.mark.parametrize("raw_data_id", [None, "x", 4711, -1, 2**31, True, {}])
def test_a_wrong_data_set_of_a_custom_split_is_refused(api: Caller, raw_data_id: object) -> None:
    answer = api.post(CUSTOM, {"raw_data_id": raw_data_id})

    assert answer.status_code == 400
    assert list(answer.json()) == ["raw_data_id"]


def test_the_wrong_door_names_the_right_one(api: Caller) -> None:
    standard, custom = api.post_data().json()["id"], post_custom_data(api)

    answers = [
        api.post(CUSTOM, {"raw_data_id": standard}),
        api.post(SPLIT, {"raw_data_id": custom, "held_out_test": 0.5}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert "use rawdata/split/" in answers[0].json()["raw_data_id"][0]
    assert "use rawdata/customsplit/" in answers[1].json()["raw_data_id"][0]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        (b"", "prepare_data, get_train_data, get_test_data, train_submission, test_submission"),
        (factories.SPECIFIC.replace(b"def prepare_data", b"def other"), "prepare_data"),
        (factories.SPECIFIC.replace(b"def test_submission", b"class A:\n  def test_submission"),
         "test_submission"),
        (factories.SPECIFIC.replace(b"def get_test_data", b"def f():\n  def get_test_data"), "get_test_data"),
    ],
)  # fmt: skip
def test_functions_that_are_missing_are_named(
    api: Caller, sent_tasks: list[SentTask], source: bytes, missing: str
) -> None:
    raw_data_id = post_custom_data(api, source)

    with factories.nothing_written():
        answer = api.post(CUSTOM, {"raw_data_id": raw_data_id})

    assert answer.status_code == 400
    assert answer.json() == {"raw_data_id": [f"specific.py does not define {missing}"]}
    assert sent_tasks == []


@pytest.mark.parametrize(
    "line",
    [
        b"from reading import *", b"prepare_data = make()", b"import a as prepare_data",
        b"if 1:\n  prepare_data = 1",
    ],
)  # fmt: skip
def test_functions_may_be_bound_in_any_way(api: Caller, line: bytes) -> None:
    source = factories.SPECIFIC.replace(b"def prepare_data", b"def other") + line

    assert api.post(CUSTOM, {"raw_data_id": post_custom_data(api, source)}).status_code == 200


def test_a_script_is_read_but_never_run_on_the_master(api: Caller, environment: Environment) -> None:
    marker = environment.home.parent / "was-here"
    source = factories.SPECIFIC + f"open({str(marker)!r}, 'w')".encode()

    assert api.post(CUSTOM, {"raw_data_id": post_custom_data(api, source)}).status_code == 200
    assert not marker.exists()
