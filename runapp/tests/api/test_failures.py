"""The shared disk or the database fails while something is posted: 503, and nothing half-written."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from rest_framework.test import APIClient

from runapp.environment import Environment
from runapp.models import Submission
from runapp.tests import factories
from runapp.tests.api.conftest import Caller
from runapp.tests.conftest import SentTask


def disk_is_full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def disk_is_read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def disk_is_gone(*_: object, **__: object) -> None:
    raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


FAILURES = [
    pytest.param(Path, "mkdir", disk_is_read_only, id="read-only"),
    pytest.param(os, "fsync", disk_is_full, id="full when the content is written out"),
    pytest.param(Path, "rename", disk_is_gone, id="gone at the last step"),
]


def assert_unavailable(answer: Any, what: str) -> None:
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert what in answer.json()["detail"]


@pytest.mark.parametrize(("where", "name", "failure"), FAILURES)
def test_a_disk_that_fails_leaves_nothing_of_a_data_set(
    api: Caller, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, failure: Any
) -> None:
    with factories.nothing_written():
        with monkeypatch.context() as patch:
            patch.setattr(where, name, failure)
            answer = api.post_data()
        assert_unavailable(answer, "the shared disk")

    assert api.post_data().status_code == 201


@pytest.mark.parametrize(("where", "name", "failure"), FAILURES)
def test_a_disk_that_fails_leaves_nothing_of_a_submission(
    api: Caller,
    monkeypatch: pytest.MonkeyPatch,
    sent_tasks: list[SentTask],
    where: Any,
    name: str,
    failure: Any,
) -> None:
    raw_data = factories.make_raw_data()
    with factories.nothing_written():
        with monkeypatch.context() as patch:
            patch.setattr(where, name, failure)
            answer = api.post_fold(raw_data=raw_data.pk)
        assert_unavailable(answer, "the shared disk")
        assert sent_tasks == []

    assert api.post_fold(raw_data=raw_data.pk).status_code == 201


def test_a_disk_that_fails_leaves_a_submission_as_it_was(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_data = factories.make_raw_data()
    api.post_fold(raw_data=raw_data.pk)
    files = factories.encoded_files({"classifier.py": b"other"})

    with factories.nothing_written(), monkeypatch.context() as patch:
        patch.setattr(os, "fsync", disk_is_full)
        answer = api.post_fold(raw_data=raw_data.pk, files=files, force="submission")
        assert_unavailable(answer, "the shared disk")


def test_a_script_that_cannot_be_read_is_the_disks_fault(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = factories.encoded_files({"specific.py": factories.SPECIFIC, "a.csv": b""})
    raw_data_id = api.post_data(name="stars", workflow_elements="", files=files).json()["id"]
    monkeypatch.setattr(Path, "read_bytes", disk_is_gone)

    with factories.nothing_written():
        answer = api.post("rawdata/customsplit/", {"raw_data_id": raw_data_id})
        assert_unavailable(answer, "the shared disk")


@pytest.fixture
def committing_api() -> APIClient:
    """A caller whose requests really commit."""
    client = APIClient()
    client.force_authenticate(factories.make_account("ada"))
    return client


class DatabaseAwayAtCommit:
    """Fails the first commit."""

    def __init__(self) -> None:
        self.n_commits = 0

    def __call__(self) -> None:
        self.n_commits += 1
        if self.n_commits == 1:
            raise OperationalError("server closed the connection unexpectedly")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["data set", "submission"])
def test_a_database_that_fails_at_the_commit_leaves_no_file(
    committing_api: APIClient,
    monkeypatch: pytest.MonkeyPatch,
    sent_tasks: list[SentTask],
    what: str,
) -> None:
    body: dict[str, Any] = {
        "name": "iris", "target_column": "species", "workflow_elements": "classifier",
        "files": factories.encoded_files({"a.csv": factories.CSV}),
    }  # fmt: skip
    if what == "submission":
        rows = factories.encoded_indices([0])
        body = {
            "databoard_sf_id": 1, "databoard_s_id": 1, "train_is": rows, "test_is": rows,
            "raw_data": factories.make_raw_data().pk,
            "files": factories.encoded_files({"classifier.py": factories.CLASSIFIER}),
        }  # fmt: skip
    path = "rawdata" if what == "data set" else "submissionfold"

    with factories.nothing_written(), monkeypatch.context() as patch:
        patch.setattr(connection, "_commit", DatabaseAwayAtCommit())
        answer = committing_api.post(f"/runapp/{path}/", body, format="json")
        assert_unavailable(answer, "the database")

    assert sent_tasks == []
    assert committing_api.post(f"/runapp/{path}/", body, format="json").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_an_id_taken_at_the_same_moment_is_seen_at_the_second_look(
    committing_api: APIClient, monkeypatch: pytest.MonkeyPatch, environment: Environment
) -> None:
    raw_data = factories.make_raw_data()
    rows = factories.encoded_indices([0])
    body = {
        "databoard_sf_id": 2, "databoard_s_id": 1, "train_is": rows, "test_is": rows, "raw_data": raw_data.pk,
        "files": factories.encoded_files({"classifier.py": factories.CLASSIFIER}),
    }  # fmt: skip
    first = committing_api.post("/runapp/submissionfold/", body | {"databoard_sf_id": 1}, format="json")
    looks: list[int] = []
    look = Submission.objects.select_for_update().__class__.first

    def nobody_there_at_first(query: Any) -> Any:
        looks.append(1)
        return None if len(looks) == 1 else look(query)

    monkeypatch.setattr("django.db.models.query.QuerySet.first", nobody_there_at_first)
    second = committing_api.post("/runapp/submissionfold/", body, format="json")

    assert (first.status_code, second.status_code) == (201, 201)
    assert Submission.objects.count() == 1


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_told(
    api: Caller, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def database_is_away(*_: object, **__: object) -> None:
        raise error("could not connect to server")

    monkeypatch.setattr("runapp.api.views.predictions_of", database_is_away)

    answer = api.post("testpredictions/list/", {"list_submission_fold": [1]})

    assert_unavailable(answer, "the database")
