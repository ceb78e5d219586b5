"""Errors are JSON of one shape, whatever was asked: no HTML, no traceback."""

import pytest
from django.test import Client

from runapp.tests import factories
from runapp.tests.api.conftest import Caller

PATHS = [
    ("", ("get",)), ("rawdata/", ("get", "post")), ("raw_data/", ("get", "post")),
    ("rawdata/split/", ("post",)), ("raw_data/split/", ("post",)), ("rawdata/customsplit/", ("post",)),
    ("raw_data/customsplit/", ("post",)), ("submissionfold/", ("get", "post")),
    ("submissionfold/1/", ("get",)), ("submissionfold-light/", ("get",)),
    ("testpredictions/list/", ("post",)), ("testpredictions/new/", ("post",)),
]  # fmt: skip
POSTS = [path for path, methods in PATHS if "post" in methods]


def test_the_root_links_to_the_lists(api: Caller) -> None:
    answer = api.get("")

    assert answer.status_code == 200
    assert answer.data == {
        "rawdata": "http://testserver/runapp/rawdata/",
        "submissionfold": "http://testserver/runapp/submissionfold/",
        "submissionfold-light": "http://testserver/runapp/submissionfold-light/",
        "runners": "http://testserver/runapp/runners/",
    }
    assert all(api.client.get(link).status_code == 200 for link in answer.data.values())


@pytest.mark.parametrize(
    "path", ["nothing/", "submissionfold/x/", "submissionfold/-1/", "rawdata/x/", "%00/"]
)
def test_a_path_that_leads_nowhere_is_404_as_json(api: Caller, path: str) -> None:
    answer = api.get(path)

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert "/docs/" in answer.json()["detail"]


@pytest.mark.parametrize("fold_id", ["1", "99999999999999999999999", "9" * 5000])
def test_a_fold_that_is_not_there_is_404_as_json(api: Caller, fold_id: str) -> None:
    answer = api.get(f"submissionfold/{fold_id}/")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path, allowed in PATHS
        for method in ("get", "post", "put", "patch", "delete")
        if method not in allowed
    ],
)
def test_a_method_that_a_path_does_not_have_is_405_as_json(api: Caller, path: str, method: str) -> None:
    answer = getattr(api.client, method)(f"/runapp/{path}")

    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert set(answer.json()) == {"detail", "code"}


@pytest.mark.parametrize("path", [path for path, _ in PATHS if path != "submissionfold/1/"])
def test_a_format_that_is_not_json_is_406_as_json(api: Caller, path: str) -> None:
    answer = api.client.get(f"/runapp/{path}", headers={"accept": "text/html"})

    assert answer.status_code == 406
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["code"] == "not_acceptable"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data; boundary=x", "application/pickle"]
)
def test_a_body_of_another_type_is_415_as_json(api: Caller, path: str, content_type: str) -> None:
    with factories.nothing_written():
        answer = api.post(path, b"{}", content_type=content_type)

    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="cut off"),
        pytest.param(b"[1, 2]", id="a list"),
        pytest.param(b'"text"', id="a text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"7", id="a number"),
        pytest.param(b'{"raw_data_id": NaN}', id="NaN"),
        pytest.param(b'{"raw_data_id": 1' + b"0" * 5000 + b"}", id="a number of 5000 digits"),
        pytest.param(b"\xff\xfe{", id="not UTF-8"),
        pytest.param(b"[" * 200_000, id="deeply nested"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deeply nested objects"),
        pytest.param(b'{"raw_data_id": {"raw_data_id": []}}', id="objects for numbers"),
    ],
)
def test_a_body_that_is_no_json_object_is_400_as_json(api: Caller, path: str, body: bytes) -> None:
    with factories.nothing_written():
        answer = api.post(path, body)

    assert answer.status_code == 400
    assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("charset", ["zlib", "utf-7", "nonsense", "rot13"])
def test_a_charset_cannot_make_the_server_fail(api: Caller, charset: str) -> None:
    answer = api.post("testpredictions/new/", b"{}", content_type=f"application/json; charset={charset}")

    assert answer.status_code in (200, 400)


def test_a_request_for_another_host_is_refused(client: Client) -> None:
    answer = client.get("/runapp/", headers={"host": "elsewhere.example"})

    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"


def test_a_bug_is_answered_as_json_without_its_traceback(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a path: /secret")

    monkeypatch.setattr("runapp.api.views.predictions_of", broken)
    api.client.raise_request_exception = False
    answer = api.post("testpredictions/list/", {"list_submission_fold": []})

    assert answer.status_code == 500
    assert answer.json() == {"detail": "The server failed; the error is logged.", "code": "error"}


@pytest.mark.django_db
def test_elsewhere_a_wrong_path_is_a_page(client: Client) -> None:
    answer = client.get("/nothing/")

    assert answer.status_code == 404
    assert b"<h1>Not found</h1>" in answer.content
