"""Passwords cannot be tried without end, nobody is locked out by a stranger, and posts have a limit."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from runapp.services import counters
from runapp.tests import factories
from runapp.tests.api.conftest import Caller
from runapp.tests.api.test_authentication import basic

pytestmark = pytest.mark.django_db

STRANGER, HOME = "192.0.2.66", "198.51.100.7"
LIMIT = 3
NOW = 1_000_000_020


@pytest.fixture(autouse=True)
def limits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    settings.MAX_LOGIN_FAILURES = LIMIT
    settings.MAX_POSTS_PER_HOUR = LIMIT
    monkeypatch.setattr(counters, "_now", lambda: NOW)  # a window does not end meanwhile
    caches["verified"].clear()


@pytest.fixture
def user() -> User:
    return factories.make_user()


def by_basic(client: Client, name: str, password: str, address: str) -> Any:
    return client.get("/runapp/", headers={"authorization": basic(name, password)}, REMOTE_ADDR=address)


def by_page(client: Client, name: str, password: str, address: str) -> Any:
    body = {"username": name, "password": password}
    return client.post("/api-auth/login/", body, REMOTE_ADDR=address)


def by_admin_page(client: Client, name: str, password: str, address: str) -> Any:
    return client.post("/admin/login/", {"username": name, "password": password}, REMOTE_ADDR=address)


def by_token(client: Client, name: str, password: str, address: str) -> Any:
    body = {"username": name, "password": password}
    return client.post("/api-token-auth/", body, REMOTE_ADDR=address)


WAYS = [by_basic, by_page, by_admin_page, by_token]


@pytest.mark.parametrize("way", WAYS)
def test_after_some_wrong_passwords_even_the_right_one_has_to_wait(
    user: User, client: Client, way: Any
) -> None:
    tried = [way(client, "ada", "wrong", STRANGER).status_code for _ in range(LIMIT)]

    refused = way(client, "ada", factories.PASSWORD, STRANGER)

    assert 429 not in tried
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300


@pytest.mark.parametrize("way", [by_basic, by_token])
def test_the_api_says_so_in_json(user: User, client: Client, way: Any) -> None:
    for _ in range(LIMIT):
        way(client, "ada", "wrong", STRANGER)

    answer = way(client, "ada", "wrong", STRANGER)

    assert set(answer.json()) == {"detail", "code"}
    assert answer.json()["code"] == "throttled"


def test_the_ways_to_log_in_have_one_count(user: User, client: Client) -> None:
    for way in WAYS[:LIMIT]:
        way(client, "ada", "wrong", STRANGER)

    assert by_token(client, "ada", factories.PASSWORD, STRANGER).status_code == 429


def test_trying_from_many_addresses_does_not_help(user: User, client: Client) -> None:
    for number in range(LIMIT):
        by_token(client, "ada", "wrong", f"192.0.2.{number}")

    assert by_token(client, "ada", factories.PASSWORD, "192.0.2.200").status_code == 429


def test_trying_many_accounts_does_not_help(user: User, client: Client) -> None:
    for number in range(5 * LIMIT):
        by_token(client, f"name{number}", "wrong", STRANGER)

    assert by_token(client, "ada", factories.PASSWORD, STRANGER).status_code == 429
    assert by_token(client, "ada", factories.PASSWORD, HOME).status_code == 200


def test_a_stranger_does_not_lock_out_who_logged_in_from_elsewhere_before(user: User, client: Client) -> None:
    assert by_token(client, "ada", factories.PASSWORD, HOME).status_code == 200
    for _ in range(LIMIT):
        by_token(client, "ada", "wrong", STRANGER)

    assert by_token(client, "ada", factories.PASSWORD, STRANGER).status_code == 429
    assert by_token(client, "ada", factories.PASSWORD, HOME).status_code == 200


def test_where_somebody_logged_in_before_passwords_cannot_be_tried_either(user: User, client: Client) -> None:
    by_token(client, "ada", factories.PASSWORD, HOME)
    for _ in range(LIMIT):
        by_token(client, "ada", "wrong", HOME)

    assert by_token(client, "ada", factories.PASSWORD, HOME).status_code == 429


def test_the_next_window_begins_anew(user: User, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(LIMIT):
        by_token(client, "ada", "wrong", STRANGER)
    wait = int(by_token(client, "ada", factories.PASSWORD, STRANGER).headers["Retry-After"])
    monkeypatch.setattr(counters, "_now", lambda: NOW + wait)

    assert by_token(client, "ada", factories.PASSWORD, STRANGER).status_code == 200


def test_behind_a_proxy_the_address_is_the_one_that_it_names_last(user: User, client: Client) -> None:
    for number in range(5 * LIMIT):
        body = {"username": f"name{number}", "password": "wrong"}
        forged = f"203.0.113.{number}, {STRANGER}"
        client.post("/api-token-auth/", body, REMOTE_ADDR="", headers={"x-forwarded-for": forged})

    assert by_token(client, "ada", factories.PASSWORD, STRANGER).status_code == 429


def test_a_caller_without_a_proxy_cannot_give_another_address(user: User, client: Client) -> None:
    for number in range(5 * LIMIT):
        body = {"username": f"name{number}", "password": "wrong"}
        client.post("/api-token-auth/", body, REMOTE_ADDR=STRANGER, headers={"x-forwarded-for": HOME})

    assert by_token(client, "ada", factories.PASSWORD, HOME).status_code == 200
    assert by_token(client, "ada", factories.PASSWORD, STRANGER).status_code == 429


def test_an_account_posts_so_often_and_reads_without_limit(api: Caller) -> None:
    posts = [api.post("testpredictions/new/", {}).status_code for _ in range(LIMIT)]

    refused = api.post("testpredictions/new/", {})

    assert posts == [200] * LIMIT
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert api.get("submissionfold-light/").status_code == 200


def test_while_the_shared_counts_are_away_posts_are_taken_and_counted_by_the_process(
    api: Caller, settings: Settings
) -> None:
    away = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "unix:///nowhere/redis.sock",
        "OPTIONS": settings.CACHES["counters"].get("OPTIONS", {}),
    }
    settings.CACHES = settings.CACHES | {"counters": away}
    caches["default"].clear()

    answers = [api.post("testpredictions/new/", {}).status_code for _ in range(LIMIT + 1)]

    caches["default"].clear()
    assert answers == [200] * LIMIT + [429]
