"""Removes what nobody needs from the shared disk, as the master's worker does every hour."""

from typing import Any

from django.core.management.base import BaseCommand

from runapp.services import housekeeping


class Command(BaseCommand):
    help = "Remove old outcome files, unused submission versions and orphaned folders from the shared disk."

    def handle(self, **options: Any) -> None:
        del options
        self.stdout.write(f"{housekeeping.clean()} files and folders were removed")
