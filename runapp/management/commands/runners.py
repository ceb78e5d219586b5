"""The runners that are up, one line each."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runapp.services.runners import Runner, known_runners


class Command(BaseCommand):
    help = "List the runners: host, queues, free places, level of isolation, versions."

    def handle(self, **options: Any) -> None:
        del options
        try:
            alive = [runner for runner in known_runners() if runner.is_alive]
        except OSError as error:
            raise CommandError(f"the shared disk cannot be used: {error}") from None
        for runner in alive:
            self.stdout.write(_line(runner))
        if not alive:
            self.stderr.write("no runner is up")


def _line(runner: Runner) -> str:
    mark = runner.mark
    versions = " ".join(f"{name} {number}" for name, number in mark.versions.items())
    queues = ",".join(mark.queues) or "none"
    places = f"{runner.free_places}/{mark.places}"
    reason = mark.refuses or mark.isolation_reason
    words = f"  ({reason})" if reason else ""
    return (
        f"{mark.runner}  host {mark.host}  queues {queues}  free {places}  isolation {mark.isolation}"
        f"  {versions}{words}"
    )
