"""Pages for people: overview, admin, the API's documentation, and the token endpoint."""

import json

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.authtoken.models import Token

from runapp.contract import SplitState, State
from runapp.models import RawData, Submission, SubmissionFold
from runapp.tests import factories

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert('x')</script>"
ESCAPED = b"&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;"
ADMIN_LISTS = ["rawdata", "submission", "submissionfold"]


@pytest.fixture
def rows() -> dict[str, int]:
    """Ids by model: a data set, a submission and folds in every state, each text of them hostile."""
    raw_data = factories.make_raw_data(name=HOSTILE, target_column=HOSTILE, workflow_elements=HOSTILE)
    factories.make_raw_data(SplitState.ERROR, split_log=HOSTILE)
    submission = factories.make_submission(raw_data)
    folds = [
        factories.make_fold(submission, state=state, runner=HOSTILE, log_messages=HOSTILE) for state in State
    ]
    factories.make_fold(databoard_s=None)
    return {"rawdata": raw_data.pk, "submission": submission.pk, "submissionfold": folds[0].pk}


@pytest.fixture
def member(client: Client) -> Client:
    client.force_login(factories.make_account("ada"))
    return client


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("path", ["/", "/docs/", "/schema/", "/admin/", "/admin/runapp/rawdata/"])
def test_who_is_not_logged_in_is_led_to_the_login(client: Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 302
    assert "/login/" in answer.headers["Location"]
    assert path in answer.headers["Location"]
    assert client.get(answer.headers["Location"]).status_code == 200


def test_a_participant_has_no_business_in_the_admin_pages(member: Client) -> None:
    assert member.get("/admin/runapp/rawdata/").status_code == 302


@pytest.mark.parametrize("model", ADMIN_LISTS)
@pytest.mark.parametrize("query", ["", "?q=1", "?q=%00", "?q=%3Cscript%3E", "?o=1.-2", "?all="])
def test_the_admin_lists_show_hostile_names_escaped(
    staff: Client, rows: dict[str, int], model: str, query: str
) -> None:
    answer = staff.get(f"/admin/runapp/{model}/{query}")

    assert answer.status_code == 200
    assert HOSTILE.encode() not in answer.content
    if not query:
        assert ESCAPED in answer.content


@pytest.mark.parametrize("model", ADMIN_LISTS)
def test_the_admin_pages_of_one_row_show_it_and_change_nothing(
    staff: Client, rows: dict[str, int], model: str
) -> None:
    address = f"/admin/runapp/{model}/{rows[model]}/change/"

    page = staff.get(address)

    assert page.status_code == 200
    assert HOSTILE.encode() not in page.content
    assert factories.encoded_indices([0, 1, 2]).encode() not in page.content
    assert staff.post(address, {}).status_code == 403
    assert staff.get(f"/admin/runapp/{model}/add/").status_code == 403


def test_the_admin_list_of_folds_loads_no_large_column(staff: Client, rows: dict[str, int]) -> None:
    with CaptureQueriesContext(connection) as queries:
        staff.get("/admin/runapp/submissionfold/")

    assert not any('"test_predictions"' in query["sql"] or '"train_is"' in query["sql"] for query in queries)


def test_a_data_set_deleted_in_the_admin_pages_takes_its_submissions_and_folds_along(
    staff: Client, rows: dict[str, int]
) -> None:
    answer = staff.post(f"/admin/runapp/rawdata/{rows['rawdata']}/delete/", {"post": "yes"})

    assert answer.status_code == 302
    assert not RawData.objects.filter(pk=rows["rawdata"]).exists()
    assert not Submission.objects.exists()
    assert SubmissionFold.objects.get().databoard_s is None


def test_the_documentation_is_for_who_is_logged_in(member: Client) -> None:
    page = member.get("/docs/")
    schema = member.get("/schema/", headers={"accept": "application/json"})

    assert page.status_code == 200
    assert b"swagger" in page.content
    assert schema.status_code == 200
    assert "/runapp/submissionfold/" in schema.json()["paths"]


def test_name_and_password_give_a_token(client: Client) -> None:
    user = factories.make_user()

    answer = client.post("/api-token-auth/", {"username": "ada", "password": factories.PASSWORD})
    as_json = client.post(
        "/api-token-auth/",
        json.dumps({"username": "ada", "password": factories.PASSWORD}),
        content_type="application/json",
    )

    assert as_json.status_code == 200
    assert as_json.json() == {"token": Token.objects.get(user=user).key}
    assert answer.json() == as_json.json()


@pytest.mark.parametrize(
    "body",
    [
        b"{}", b"[]", b"null", b"{", b"[" * 100_000, b'{"username": "ada", "password": "wrong"}',
        b'{"username": "a\\u0000", "password": "x"}', b'{"username": "\\ud800", "password": "x"}',
        b'{"username": ["ada"], "password": "x"}',
    ],
)  # fmt: skip
def test_whatever_else_gives_no_token(client: Client, body: bytes) -> None:
    answer = client.post("/api-token-auth/", body, content_type="application/json")

    assert answer.status_code == 400
    assert isinstance(answer.json(), dict)


def test_an_error_on_a_page_is_a_page(member: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a path: /secret")

    monkeypatch.setattr("runapp.selectors.folds_by_state", broken)
    member.raise_request_exception = False

    answer = member.get("/")

    assert answer.status_code == 500
    assert b"<h1>The server failed</h1>" in answer.content
    assert b"/secret" not in answer.content


def test_the_page_of_a_failure_asks_nothing_of_a_database_that_is_away(
    member: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def database_away(*_: object, **__: object) -> None:
        raise OperationalError("the database is away")

    member.raise_request_exception = False
    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", database_away)
    answer = member.get("/")
    assert answer.status_code == 500
    assert b"The server failed" in answer.content
