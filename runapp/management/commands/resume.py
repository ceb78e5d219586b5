"""Puts a host's runners back into service."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runapp.errors import InvalidMessage
from runapp.services.runners import host_resume


class Command(BaseCommand):
    help = "Have the runners of a drained host take tasks again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("host")

    def handle(self, *, host: str, **options: Any) -> None:
        del options
        try:
            was_drained = host_resume(host)
        except (InvalidMessage, OSError) as error:
            raise CommandError(str(error)) from None
        if not was_drained:
            raise CommandError(f"{host} was not drained")
        self.stdout.write(f"{host} takes tasks again")
