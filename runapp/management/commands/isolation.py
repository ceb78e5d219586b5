"""How well this host isolates folds."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from runapp.runner import launch


class Command(BaseCommand):
    help = "Measure by the canary fold how well this host isolates folds; fails where it refuses them."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--level", action="store_true", help="print the level alone, and do not fail")

    def handle(self, *, level: bool, **options: Any) -> None:
        del options
        measured = launch.measured()
        if level:
            self.stdout.write(measured.level.value)
            return
        self.stdout.write(f"isolation {measured.level}")
        if measured.reason:
            self.stdout.write(measured.reason)
        if refusal := launch.refusal():
            self.stderr.write(refusal)
            sys.exit(1)
