"""Who may use the API: HTTP Basic, a token, or a session with its CSRF token."""

import base64

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings
from rest_framework.authtoken.models import Token

from runapp.api import authentication
from runapp.tests import factories

pytestmark = pytest.mark.django_db

PATHS = [
    ("get", ""), ("get", "rawdata/"), ("post", "rawdata/"), ("get", "raw_data/"), ("post", "rawdata/split/"),
    ("post", "rawdata/customsplit/"), ("get", "submissionfold/"), ("post", "submissionfold/"),
    ("get", "submissionfold/1/"), ("get", "submissionfold-light/"), ("post", "testpredictions/list/"),
    ("post", "testpredictions/new/"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_remembered_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    caches["verified"].clear()


@pytest.fixture
def user() -> User:
    return factories.make_user()


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_an_account_every_path_answers_401_as_json(client: Client, method: str, path: str) -> None:
    answer = getattr(client, method)(f"/runapp/{path}")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="datarun"'
    assert answer.json() == {
        "detail": "Authentication credentials were not provided.",
        "code": "not_authenticated",
    }


@pytest.mark.parametrize("name", ["ada", "käthe 🌍"])
def test_name_and_password_are_enough(client: Client, name: str) -> None:
    factories.make_user(name) if name != "ada" else factories.make_user()

    answer = client.get("/runapp/", headers={"authorization": basic(name, factories.PASSWORD)})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        basic("ada", "wrong"),
        basic("nobody", factories.PASSWORD),
        basic("ad\0a", factories.PASSWORD),
        basic("ada", "\0"),
        basic("", ""),
        "Basic",
        "Basic a b",
        "Basic %%%",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Token",
        "Token nothing-known",
        "Token \xff",
    ],
)
def test_wrong_credentials_answer_401_as_json(client: Client, user: User, authorization: str) -> None:
    answer = client.get("/runapp/", headers={"authorization": authorization})

    assert answer.status_code == 401
    assert set(answer.json()) == {"detail", "code"}
    assert answer.json()["code"] == "authentication_failed"


def test_a_token_is_enough(client: Client, user: User) -> None:
    token = Token.objects.create(user=user)

    assert client.get("/runapp/", headers={"authorization": f"Token {token.key}"}).status_code == 200


def test_a_session_may_read_but_writes_only_with_its_csrf_token(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    assert client.get("/runapp/rawdata/").status_code == 200
    refused = client.post("/runapp/testpredictions/new/", "{}", content_type="application/json")
    client.get("/api-auth/login/")  # gives the cookie
    accepted = client.post(
        "/runapp/testpredictions/new/",
        "{}",
        content_type="application/json",
        headers={"x-csrftoken": client.cookies["csrftoken"].value},
    )

    assert refused.status_code == 403
    assert refused.json()["code"] == "permission_denied"
    assert "CSRF" in refused.json()["detail"]
    assert accepted.status_code == 200


def test_a_verified_password_is_not_hashed_again(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = {"authorization": basic("ada", factories.PASSWORD)}
    client.get("/runapp/", headers=header)
    monkeypatch.setattr(User, "check_password", lambda *_: pytest.fail("the password was hashed again"))

    assert client.get("/runapp/", headers=header).status_code == 200


def test_a_changed_password_counts_at_once(client: Client, user: User) -> None:
    header = {"authorization": basic("ada", factories.PASSWORD)}
    assert client.get("/runapp/", headers=header).status_code == 200
    user.set_password("another one")
    user.save()

    assert client.get("/runapp/", headers=header).status_code == 401
    assert client.get("/runapp/", headers={"authorization": basic("ada", "another one")}).status_code == 200


def test_a_locked_account_is_out_at_once(client: Client, user: User) -> None:
    header = {"authorization": basic("ada", factories.PASSWORD)}
    assert client.get("/runapp/", headers=header).status_code == 200
    User.objects.update(is_active=False)

    assert client.get("/runapp/", headers=header).status_code == 401


def test_neither_name_nor_password_can_be_read_from_what_is_remembered() -> None:
    # Letters that are no hexadecimal digits: "ada" is in one digest of seventy by chance.
    digest = authentication._digest("stored", "myself", "secret")

    assert digest == authentication._digest("stored", "myself", "secret")
    assert digest != authentication._digest("stored", "myselfs", "ecret")
    assert "myself" not in digest
    assert "secret" not in digest
