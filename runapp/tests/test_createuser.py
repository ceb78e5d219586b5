"""``manage.py createuser``."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db

_PASSWORD = "correct horse battery staple"


def test_a_created_user_may_log_in_and_no_more() -> None:
    call_command("createuser", "ada", "ada@example.org", _PASSWORD)

    user = User.objects.get(username="ada")
    assert user.check_password(_PASSWORD)
    assert user.email == "ada@example.org"
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)


def test_a_superuser_may_do_everything() -> None:
    call_command("createuser", "ada", "ada@example.org", _PASSWORD, "--superuser")

    user = User.objects.get(username="ada")
    assert (user.is_staff, user.is_superuser) == (True, True)


def test_a_password_given_as_a_dash_is_read_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{_PASSWORD}\n"))

    call_command("createuser", "ada", "ada@example.org", "-")

    assert User.objects.get(username="ada").check_password(_PASSWORD)


def test_an_account_is_an_organizers_unless_it_is_made_for_something_else() -> None:
    call_command("createuser", "ada", "ada@example.org", _PASSWORD)
    call_command("createuser", "bob", "bob@example.org", _PASSWORD, "--role", "submitter")
    call_command("createuser", "eve", "eve@example.org", _PASSWORD, "--role", "observer")
    call_command("createuser", "root", "root@example.org", _PASSWORD, "--superuser")

    assert list(User.objects.order_by("pk").values_list("username", "groups__name")) == [
        ("ada", "organizers"), ("bob", "submitters"), ("eve", "observers"), ("root", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "email", "password", "words"),
    [
        ("taken", "new@example.org", _PASSWORD, "username: A user with that username already exists."),
        ("not a name", "new@example.org", _PASSWORD, "username: Enter a valid username"),
        ("new", "no address", _PASSWORD, "email: Enter a valid email address."),
        ("new", "new@example.org", "", "password: It may not be empty."),
    ],
)
def test_a_wrong_value_is_refused_in_words_and_nothing_is_made(
    name: str, email: str, password: str, words: str
) -> None:
    User.objects.create_user("taken")

    with pytest.raises(CommandError, match=words):
        call_command("createuser", name, email, password)

    assert User.objects.count() == 1


def test_a_weak_password_is_taken_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("createuser", "ada", "ada@example.org", "12345")

    assert "the password is weak" in capsys.readouterr().err
    assert User.objects.get(username="ada").check_password("12345")
