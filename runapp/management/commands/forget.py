"""Forgets a host whose machine is gone."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runapp.errors import DatarunError
from runapp.services.runners import host_forget


class Command(BaseCommand):
    help = "Forget the runners of a host that is gone for good, and that it was drained."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("host", help="name of the host, as manage.py doctor shows it after the @")

    def handle(self, *, host: str, **options: Any) -> None:
        del options
        try:
            runners = host_forget(host)
        except (DatarunError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"forgotten: {' '.join(runners) or f'that {host} was drained'}")
