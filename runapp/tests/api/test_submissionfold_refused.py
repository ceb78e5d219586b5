"""``submissionfold/``: what cannot be trained is refused with the reason, and nothing is kept."""

import time
import tracemalloc
from base64 import b64encode
from typing import Any
from zlib import compress

import pytest
from pytest_django import Settings

from runapp.contract import SplitState
from runapp.tests import factories
from runapp.tests.api.conftest import Caller
from runapp.tests.conftest import SentTask

GOOD = factories.encoded_indices([0, 1])


@pytest.mark.parametrize("field", ["train_is", "test_is"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("%%%", "not valid base64", id="not base64"),
        pytest.param(b64encode(b"[0, 1]").decode(), "not of zlib", id="not zlib"),
        pytest.param(GOOD[:-4], "cut off", id="truncated"),
        pytest.param(factories.encoded(b"\0" * 12), "12 bytes are not a whole number", id="half an index"),
        pytest.param(factories.encoded_indices([0, -1]), "the index -1 is negative", id="negative"),
        pytest.param(factories.encoded_indices([0, 6]), "the index 6 is not within", id="out of range"),
        pytest.param(factories.encoded_indices([2**63 - 1]), "not within", id="far out of range"),
        pytest.param("", "may not be blank", id="blank"),
        pytest.param(None, "required", id="missing"),
        pytest.param([0, 1], "Not a valid string", id="a list"),
        pytest.param(True, "Not a valid string", id="a boolean"),
        pytest.param("\ud800", "", id="half a surrogate pair"),
        pytest.param("\0", "Null characters", id="a NUL"),
    ],
)  # fmt: skip
def test_indices_that_are_none_are_refused(api: Caller, field: str, text: Any, words: str) -> None:
    raw_data = factories.make_raw_data()

    with factories.nothing_written():
        answer = api.post_fold(raw_data=raw_data.pk, **{field: text})

    assert answer.status_code == 400
    assert words in answer.json()[field][0]


def test_a_fold_without_training_rows_is_refused(api: Caller) -> None:
    raw_data = factories.make_raw_data()

    with factories.nothing_written():
        answer = api.post_fold(raw_data=raw_data.pk, train_is=factories.encoded_indices([]))

    assert answer.json() == {"train_is": ["a fold needs at least one training index"]}


@pytest.mark.parametrize("field", ["databoard_sf_id", "databoard_s_id", "raw_data"])
@pytest.mark.parametrize("number", ["x", -1, 2**31, 10**400, True, 1.5, [1], {}, "", "1\0", "\ud800"])
def test_an_id_that_is_no_id_is_refused(api: Caller, field: str, number: object) -> None:
    body = {"raw_data": factories.make_raw_data().pk} | {field: number}

    with factories.nothing_written():
        answer = api.post_fold(**body)

    assert answer.status_code == 400
    assert list(answer.json()) == [field]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"databoard_sf_id": None}, "databoard_sf_id", "required"),
        ({"databoard_s_id": None}, "databoard_s_id", "required"),
        ({"raw_data": None}, "raw_data", "the submission is new: name its data set"),
        ({"raw_data": 4711}, "raw_data", "there is no data set 4711"),
        ({"files": None}, "files", "the submission is new: send its files"),
        ({"files": {}}, "files", "at least one file"),
        ({"files": ["classifier.py"]}, "files", "Expected a dictionary"),
        ({"files": {"classifier.py": "%%%"}}, "files", "classifier.py: not valid base64"),
        ({"files": factories.encoded_files({"regressor.py": b""})}, "files", "classifier.py missing"),
        ({"priority": "M"}, "priority", "not a valid choice"),
        ({"priority": "\ud800"}, "priority", "not a valid choice"),
        ({"priority": ["L"]}, "priority", "not a valid choice"),
        ({"force": "everything"}, "force", "'everything' is not one of"),
        ({"force": "submission,fold"}, "force", "'fold' is not one of"),
        ({"force": True}, "force", "Not a valid string"),
        ({"force": ["submission"]}, "force", "Not a valid string"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(api: Caller, change: dict[str, Any], field: str, words: str) -> None:
    raw_data = factories.make_raw_data()

    with factories.nothing_written():
        answer = api.post_fold(**{"raw_data": raw_data.pk} | change)

    assert answer.status_code == 400
    assert words in str(answer.json()[field])


def test_a_taken_fold_is_refused_in_the_words_of_the_contract(
    api: Caller, sent_tasks: list[SentTask]
) -> None:
    raw_data = factories.make_raw_data()
    api.post_fold(raw_data=raw_data.pk)

    with factories.nothing_written():
        answer = api.post_fold(raw_data=raw_data.pk)

    assert answer.status_code == 400
    expected = {"databoard_sf_id": ["SubmissionFold with this databoard_sf_id already exists."]}
    assert answer.json() == expected
    assert len(sent_tasks) == 1


@pytest.mark.parametrize("force", [None, "submission_fold"])
def test_other_files_for_a_known_submission_need_force(api: Caller, force: str | None) -> None:
    raw_data = factories.make_raw_data()
    api.post_fold(raw_data=raw_data.pk)
    files = factories.encoded_files({"classifier.py": b"other"})

    with factories.nothing_written():
        answer = api.post_fold(raw_data=raw_data.pk, databoard_sf_id=12, files=files, force=force)

    assert answer.status_code == 400
    assert "already exists, with other files; see force" in answer.json()["databoard_s_id"][0]


def test_a_known_submission_stays_with_its_data_set(api: Caller) -> None:
    submission = factories.make_submission(databoard_s_id=1)
    other = factories.make_raw_data()

    with factories.nothing_written():
        answers = [
            api.post_fold(raw_data=other.pk),
            api.post_fold(raw_data=other.pk, files=None, force="submission"),
        ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert f"belongs to the data set {submission.raw_data_id}" in answers[0].json()["raw_data"][0]
    assert "send the files again" in answers[1].json()["files"][0]


@pytest.mark.parametrize(("custom", "door"), [(False, "rawdata/split/"), (True, "rawdata/customsplit/")])
def test_where_no_split_was_asked_for_the_remedy_is_told(api: Caller, custom: bool, door: str) -> None:
    raw_data = factories.make_raw_data(SplitState.NONE, custom=custom)

    with factories.nothing_written():
        answer = api.post_fold(raw_data=raw_data.pk)

    assert answer.status_code == 409
    assert answer.json()["code"] == "split_missing"
    assert f"post to {door}" in answer.json()["detail"]


def test_where_the_split_failed_its_own_error_is_told(api: Caller) -> None:
    raw_data = factories.make_raw_data(SplitState.ERROR)

    with factories.nothing_written():
        answer = api.post_fold(raw_data=raw_data.pk)

    assert answer.status_code == 409
    assert answer.json()["code"] == "split_failed"
    assert "the split's own error" in answer.json()["detail"]


@pytest.mark.parametrize("field", ["train_is", "test_is", "files"])
def test_a_bomb_costs_no_more_than_the_limit(api: Caller, settings: Settings, field: str) -> None:
    settings.MAX_DECOMPRESSED_BYTES = 4 * 2**20
    raw_data = factories.make_raw_data()
    bomb = b64encode(compress(bytes(2**28), 9)).decode()
    body = {field: {"classifier.py": bomb} if field == "files" else bomb}

    tracemalloc.start()
    start = time.process_time()
    with factories.nothing_written():
        answer = api.post_fold(raw_data=raw_data.pk, **body)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert peak < 20 * 2**20
    assert seconds < 10
