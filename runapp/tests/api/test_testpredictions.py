"""``testpredictions/list/`` and ``testpredictions/new/``: handing predictions out."""

from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runapp.contract import State
from runapp.encodings import decode_predictions
from runapp.models import SubmissionFold
from runapp.tests import factories
from runapp.tests.api.conftest import Caller

FIELDS = {
    "databoard_sf_id", "databoard_s", "test_predictions", "full_train_predictions", "state", "log_messages",
    "train_time", "validation_time", "test_time", "train_cpu_time", "test_cpu_time", "train_memory",
    "test_memory", "test_predictions_shape", "full_train_predictions_shape", "outcome",
}  # fmt: skip
LIST, NEW = "testpredictions/list/", "testpredictions/new/"


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200
    return [fold["databoard_sf_id"] for fold in answer.json()]


def still_new() -> set[int]:
    return set(SubmissionFold.objects.filter(new=True).values_list("pk", flat=True))


@pytest.fixture
def folds(db: None) -> dict[str, SubmissionFold]:
    """One fold in each state, by the state's name."""
    submission = factories.make_submission()
    return {state.value: factories.make_fold(submission, state=state) for state in State}


def test_predictions_are_those_of_the_folds_named_that_exist(
    api: Caller, folds: dict[str, SubmissionFold]
) -> None:
    answer = api.post(LIST, {"list_submission_fold": [folds["TESTED"].pk, 4711, folds["TODO"].pk]})

    assert ids(answer) == [folds["TODO"].pk, folds["TESTED"].pk]
    todo, tested = answer.json()
    assert set(tested) >= FIELDS
    assert (todo["state"], todo["test_predictions"], todo["test_predictions_shape"]) == ("TODO", "", None)
    shape = tested["test_predictions_shape"]
    assert (decode_predictions(tested["test_predictions"], tuple(shape)) == np.full((3, 2), 0.5)).all()


def test_only_finished_folds_are_no_longer_new_once_listed(
    api: Caller, folds: dict[str, SubmissionFold]
) -> None:
    answer = api.post(LIST, {"list_submission_fold": [fold.pk for fold in folds.values()]})

    assert {fold["state"]: fold["new"] for fold in answer.json()} == {
        "TODO": True, "TRAINED": True, "VALIDATED": True, "TESTED": False, "ERROR": False,
    }  # fmt: skip
    assert still_new() == {folds[state].pk for state in ("TODO", "TRAINED", "VALIDATED")}


def test_folds_may_be_listed_again(api: Caller, folds: dict[str, SubmissionFold]) -> None:
    body = {"list_submission_fold": [folds["TESTED"].pk] * 2}

    assert ids(api.post(LIST, body)) == ids(api.post(LIST, body)) == [folds["TESTED"].pk]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"list_submission_fold": None}, {"list_submission_fold": 1}, {"list_submission_fold": "1,2"},
        {"list_submission_fold": ["x"]}, {"list_submission_fold": [-1]}, {"list_submission_fold": [2**31]},
        {"list_submission_fold": [True]}, {"list_submission_fold": [[1]]}, {"list_submission_fold": [None]},
        {"list_submission_fold": {"1": 2}}, {"list_submission_fold": list(range(100_001))},
    ],
)  # fmt: skip
def test_a_list_that_is_none_is_refused(api: Caller, body: dict[str, Any]) -> None:
    answer = api.post(LIST, body)

    assert answer.status_code == 400
    assert list(answer.json()) == ["list_submission_fold"]


def test_the_longest_list_is_answered(api: Caller, folds: dict[str, SubmissionFold]) -> None:
    body = {"list_submission_fold": [*range(99_999), folds["TESTED"].pk]}

    assert folds["TESTED"].pk in ids(api.post(LIST, body))


def test_an_empty_list_is_answered_with_an_empty_list(api: Caller) -> None:
    assert ids(api.post(LIST, {"list_submission_fold": []})) == []


def test_each_tested_fold_is_new_once(api: Caller, folds: dict[str, SubmissionFold]) -> None:
    assert ids(api.post(NEW, {})) == [folds["TESTED"].pk]
    assert ids(api.post(NEW, {})) == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"raw_data_id": null}'])
def test_all_fields_of_new_are_optional(api: Caller, folds: dict[str, SubmissionFold], body: bytes) -> None:
    answer = api.post(NEW, body)

    assert ids(answer) == [folds["TESTED"].pk]
    assert set(answer.json()[0]) >= FIELDS


def test_failed_folds_are_new_only_to_who_asks_for_errors(
    api: Caller, folds: dict[str, SubmissionFold]
) -> None:
    assert ids(api.post(NEW, {})) == [folds["TESTED"].pk]
    assert ids(api.post(NEW, {"errors": True})) == [folds["ERROR"].pk]
    assert ids(api.post(NEW, {"errors": True})) == []


def test_without_ack_folds_stay_new_until_listed(api: Caller, folds: dict[str, SubmissionFold]) -> None:
    tested = [folds["TESTED"].pk]

    assert ids(api.post(NEW, {"ack": False})) == ids(api.post(NEW, {"ack": False})) == tested
    api.post(LIST, {"list_submission_fold": tested})
    assert ids(api.post(NEW, {"ack": False})) == []


def test_new_may_be_asked_of_one_data_set(api: Caller) -> None:
    raw_data = factories.make_raw_data()
    first = factories.make_fold(state=State.TESTED)
    second = factories.make_fold(factories.make_submission(raw_data), state=State.TESTED)

    assert ids(api.post(NEW, {"raw_data_id": raw_data.pk})) == [second.pk]
    assert ids(api.post(NEW, {})) == [first.pk]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"raw_data_id": 4711}, "raw_data_id"), ({"raw_data_id": "x"}, "raw_data_id"),
        ({"raw_data_id": -1}, "raw_data_id"), ({"raw_data_id": 2**63}, "raw_data_id"),
        ({"raw_data_id": True}, "raw_data_id"), ({"errors": "maybe"}, "errors"), ({"errors": []}, "errors"),
        ({"ack": None}, "ack"), ({"ack": 7}, "ack"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_new_is_named_and_nothing_handed_out(
    api: Caller, folds: dict[str, SubmissionFold], body: dict[str, Any], field: str
) -> None:
    with factories.nothing_written():
        answer = api.post(NEW, body)

    assert answer.status_code == 400
    assert list(answer.json()) == [field]


@pytest.mark.parametrize("path", [LIST, NEW])
def test_the_number_of_queries_does_not_grow_with_the_folds(api: Caller, path: str) -> None:
    counts = []
    for n_folds in (2, 6):
        folds = [factories.make_fold(state=State.TESTED) for _ in range(n_folds)]
        with CaptureQueriesContext(connection) as queries:
            answer = api.post(path, {"list_submission_fold": [fold.pk for fold in folds]})
        assert len(ids(answer)) == n_folds
        assert not any('"train_is"' in query["sql"] for query in queries)
        counts.append(len(queries))

    assert counts[0] == counts[1]
