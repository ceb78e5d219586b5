"""An account, made without a dialogue."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction

from runapp.models.rights import Role
from runapp.services.accounts import role_give


class Command(BaseCommand):
    help = "Create a user who may use the API, or with --superuser one who may do everything."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("email")
        parser.add_argument("password", help="- reads it from the standard input, where nobody sees it")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--superuser", action="store_true", help="may do everything in the admin pages")
        kind.add_argument(
            "--role",
            choices=[role.value for role in Role],
            default=Role.ORGANIZER.value,
            help="what the account is for; organizer unless given",
        )

    def handle(
        self, *, name: str, email: str, password: str, superuser: bool, role: str, **options: Any
    ) -> None:
        del options
        if password == "-":  # noqa: S105 - a dash is no password
            password = sys.stdin.readline().rstrip("\r\n")
        user = User(
            username=User.normalize_username(name),
            email=User.objects.normalize_email(email),
            is_staff=superuser,
            is_superuser=superuser,
        )
        user.set_password(password)
        try:
            if not password:
                raise ValidationError({"password": "It may not be empty."})
            user.full_clean(exclude=["password"])
            with transaction.atomic():
                user.save(force_insert=True)
                if not superuser:
                    role_give(user, Role(role))
        except ValidationError as error:
            raise CommandError(_in_words(error.message_dict)) from None
        except IntegrityError:
            raise CommandError(f"username: there is already a user named {user.username}") from None
        kind = "superuser" if superuser else role
        self.stdout.write(f"created the {kind} {user.username} <{user.email}>")
        self._warn_of_weakness(user, password)

    def _warn_of_weakness(self, user: User, password: str) -> None:
        # An administrator may choose what a participant may not, as with createsuperuser.
        try:
            validate_password(password, user)
        except ValidationError as error:
            self.stderr.write(self.style.WARNING(f"the password is weak: {' '.join(error.messages)}"))


def _in_words(messages: dict[str, list[str]]) -> str:
    """One line for each field that is wrong."""
    return "\n".join(f"{field}: {' '.join(texts)}" for field, texts in messages.items())
