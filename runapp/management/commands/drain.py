"""Takes a host's runners out of service, its running folds finished."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runapp.errors import InvalidMessage
from runapp.services.runners import host_drain


class Command(BaseCommand):
    help = "Have the runners of a host finish what they run and take no more, until manage.py resume."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("host", help="name of the host, as manage.py doctor shows it after the @")

    def handle(self, *, host: str, **options: Any) -> None:
        del options
        try:
            marks = host_drain(host)
        except (InvalidMessage, OSError) as error:
            raise CommandError(str(error)) from None
        if not marks:
            self.stderr.write(
                self.style.WARNING(f"no runner of {host} is up; one that starts will take nothing")
            )
        busy = sum(mark.busy for mark in marks)
        self.stdout.write(f"{host} takes no more tasks; {busy} run there")
