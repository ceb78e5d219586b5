"""``submissionfold/``: posting folds and reading them."""

import json
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runapp.contract import SplitState, State
from runapp.environment import Environment
from runapp.messages import FoldTask
from runapp.models import SubmissionFold
from runapp.tests import factories
from runapp.tests.api.conftest import Caller
from runapp.tests.conftest import SentTask

SEEDS_FIELDS = {
    "databoard_sf_id", "databoard_s", "train_is", "test_is", "priority", "full_train_predictions",
    "test_predictions", "state", "log_messages", "train_time", "validation_time", "test_time",
    "train_cpu_time", "train_memory", "test_cpu_time", "test_memory", "new",
}  # fmt: skip


def test_a_fold_of_a_new_submission_is_sent_to_its_queue(
    api: Caller, environment: Environment, sent_tasks: list[SentTask]
) -> None:
    raw_data = factories.make_raw_data()

    answer = api.post_fold(raw_data=raw_data.pk)

    assert answer.status_code == 201
    fold = answer.json()
    assert SEEDS_FIELDS | {"task_id", "outcome", "attempts"} <= set(fold)
    assert (fold["databoard_sf_id"], fold["databoard_s"], fold["owner"]) == (11, 1, api.user.pk)
    assert (fold["state"], fold["outcome"], fold["new"], fold["priority"]) == ("TODO", "", True, "L")
    (task,) = sent_tasks
    assert (task.name, task.queue) == ("runapp.tasks.train_test_submission_fold", "L")
    assert task.task_id == fold["task_id"]
    message = FoldTask.from_message(json.loads(json.dumps(task.message)))
    assert (message.fold_id, message.task_id, message.attempt) == (11, fold["task_id"], 1)
    assert (message.data_folder, message.train_is) == (raw_data.split_folder, fold["train_is"])
    code = environment.dir_submission / message.submission_folder
    assert {file.name: file.read_bytes() for file in code.iterdir()} == {
        "classifier.py": factories.CLASSIFIER
    }
    assert SubmissionFold.objects.get().times_sent == 1


@pytest.mark.parametrize("priority", ["L", "H"])
def test_the_priority_chooses_the_queue(api: Caller, sent_tasks: list[SentTask], priority: str) -> None:
    answer = api.post_fold(raw_data=factories.make_raw_data().pk, priority=priority)

    assert answer.json()["priority"] == priority
    assert sent_tasks[0].queue == priority


def test_a_further_fold_of_a_submission_needs_no_files(api: Caller, sent_tasks: list[SentTask]) -> None:
    api.post_fold(raw_data=factories.make_raw_data().pk)

    answer = api.post_fold(databoard_sf_id=12, files=None)

    assert answer.status_code == 201
    assert answer.json()["databoard_s"] == 1
    first, second = (task.message for task in sent_tasks)
    assert first["submission_folder"] == second["submission_folder"]


def test_the_same_files_may_be_posted_again_with_each_fold(api: Caller) -> None:
    raw_data = factories.make_raw_data().pk

    answers = [api.post_fold(raw_data=raw_data, databoard_sf_id=number) for number in (11, 12, 13)]

    assert [answer.status_code for answer in answers] == [201, 201, 201]


def test_a_form_does_as_well_as_json(api: Caller) -> None:
    raw_data = factories.make_raw_data()
    api.post_fold(raw_data=raw_data.pk)
    body = {"databoard_sf_id": "12", "databoard_s_id": "1", "priority": "H"}
    indices = {name: factories.encoded_indices([0]) for name in ("train_is", "test_is")}

    answer = api.post(
        "submissionfold/", urlencode(body | indices), content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 201
    assert answer.json()["priority"] == "H"


def test_what_the_old_clients_send_as_null_counts_as_not_sent(api: Caller) -> None:
    raw_data = factories.make_raw_data()
    api.post_fold(raw_data=raw_data.pk)
    body = {
        "databoard_sf_id": 12, "databoard_s_id": 1, "train_is": factories.encoded_indices([0]),
        "test_is": factories.encoded_indices([1]), "raw_data": None, "files": None, "force": None,
    }  # fmt: skip

    assert api.post("submissionfold/", body).status_code == 201


def test_indices_may_repeat_and_test_indices_may_be_empty(api: Caller) -> None:
    answer = api.post_fold(
        raw_data=factories.make_raw_data().pk,
        train_is=factories.encoded_indices([5, 5, 0, 0]),
        test_is=factories.encoded_indices([]),
    )

    assert answer.status_code == 201


def test_a_fold_may_be_posted_while_the_split_runs(api: Caller, sent_tasks: list[SentTask]) -> None:
    answer = api.post_fold(raw_data=factories.make_raw_data(SplitState.TODO).pk)

    assert answer.status_code == 201
    assert answer.json()["state"] == "TODO"
    assert sent_tasks == []


def test_one_fold_is_shown_with_all_its_fields(api: Caller) -> None:
    fold = factories.make_fold(state=State.TESTED)

    answer = api.get(f"submissionfold/{fold.pk}/")

    assert answer.status_code == 200
    shown = answer.json()
    assert set(shown) >= SEEDS_FIELDS
    assert shown["full_train_predictions"] == fold.full_train_predictions
    assert shown["full_train_predictions_shape"] == [factories.N_TRAIN_ROWS, 2]
    assert shown["test_predictions_shape"] == [factories.N_TEST_ROWS, 2]


def test_the_list_shows_all_fields_of_every_fold(api: Caller) -> None:
    folds = [factories.make_fold(), factories.make_fold(state=State.TESTED)]

    answer = api.get("submissionfold/")

    assert answer.status_code == 200
    assert [fold["databoard_sf_id"] for fold in answer.json()] == [fold.pk for fold in folds]
    assert set(answer.json()[0]) >= SEEDS_FIELDS


def test_the_light_list_shows_the_states_alone(api: Caller) -> None:
    fold = factories.make_fold(state=State.TESTED)

    answer = api.get("submissionfold-light/")

    assert answer.status_code == 200
    expected = {
        "databoard_sf_id": fold.pk,
        "databoard_s": fold.databoard_s_id,
        "state": "TESTED",
        "new": True,
    }
    assert answer.json() == [expected]


def test_the_light_list_loads_no_large_column(api: Caller) -> None:
    factories.make_fold(state=State.TESTED)

    with CaptureQueriesContext(connection) as queries:
        api.get("submissionfold-light/")

    (query,) = (q["sql"] for q in queries)
    for column in ("predictions", "train_is", "test_is", "log_messages"):
        assert column not in query


@pytest.mark.parametrize("path", ["submissionfold/", "submissionfold-light/"])
def test_the_number_of_queries_does_not_grow_with_the_folds(api: Caller, path: str) -> None:
    counts = []
    for _ in range(2):
        for _ in range(4):
            factories.make_fold(owner=api.user)
        with CaptureQueriesContext(connection) as queries:
            api.get(path)
        counts.append(len(queries))

    assert counts == [1, 1]
