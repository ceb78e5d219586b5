"""The page of one's own account."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authtoken.models import Token

from runapp.models.rights import Role
from runapp.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(client: Client) -> User:
    user = factories.make_account("ada", role=Role.SUBMITTER)
    client.force_login(user)
    return user


def accepts(key: str) -> bool:
    return Client().get("/runapp/", headers={"authorization": f"Token {key}"}).status_code == 200


def test_a_token_is_shown_once_and_lets_its_owner_in(client: Client, user: User) -> None:
    made = client.post("/account/", {"what": "make"})

    key = Token.objects.get(user=user).key
    assert key.encode() in made.content
    assert "no-store" in made.headers["Cache-Control"]
    assert accepts(key)
    assert key.encode() not in client.get("/account/").content


def test_a_new_token_takes_the_place_of_the_former(client: Client, user: User) -> None:
    former = Token.objects.create(user=user).key

    client.post("/account/", {"what": "make"})

    assert not accepts(former)
    assert accepts(Token.objects.get(user=user).key)


def test_a_revoked_token_is_refused(client: Client, user: User) -> None:
    key = Token.objects.create(user=user).key

    answer = client.post("/account/", {"what": "revoke"}, follow=True)

    assert not accepts(key)
    assert b"You have no token" in answer.content


def test_a_token_is_not_made_by_a_link_or_from_another_site(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    client.get("/account/?what=make")
    refused = client.post("/account/", {"what": "make"})

    assert refused.status_code == 403
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("role", "is_staff", "words"),
    [
        (Role.ORGANIZER, False, b"upload data sets with a specific.py"),
        (Role.SUBMITTER, False, b"hand in submissions"),
        (Role.OBSERVER, False, b"see all submissions and folds"),
        (None, False, b"has no role yet"),
        (None, True, b"see and do everything"),
    ],
)
def test_the_page_says_what_an_account_may_do(
    client: Client, role: Role | None, is_staff: bool, words: bytes
) -> None:
    client.force_login(factories.make_account("eve", role=role, is_staff=is_staff))

    assert words in client.get("/account/").content
