"""The runners that answer, one line each."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from datarun.celery import app
from runapp.contract import RUNNER_STATUS


class Command(BaseCommand):
    help = "List the runners: host, queues, free places, level of isolation, versions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--timeout", type=float, default=2.0, help="seconds to wait for answers")

    def handle(self, *, timeout: float, **options: Any) -> None:
        del options
        answers: dict[str, Any] = app.control.inspect(timeout=timeout)._request(RUNNER_STATUS) or {}  # type: ignore[assignment]
        for name, status in sorted(answers.items()):
            if "queues" in status:  # not a worker of the master alone, which knows no such command
                self.stdout.write(_line(name, status))
        if not answers:
            self.stderr.write("no runner answers")


def _line(name: str, status: dict[str, Any]) -> str:
    versions = " ".join(f"{library} {number}" for library, number in status["versions"].items())
    queues = ",".join(status["queues"]) or "none"
    places = f"{status['free_places']}/{status['places']}"
    reason = f"  ({status['reason']})" if status["reason"] else ""
    return f"{name}  queues {queues}  free {places}  isolation {status['isolation']}  {versions}{reason}"
