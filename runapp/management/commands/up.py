"""Everything datarun consists of, in one terminal."""

import fcntl
import os
import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from runapp import commands, embedded
from runapp.environment import BASE_DIR, Environment
from runapp.errors import ConfigurationError
from runapp.process_group import ProcessGroup


class Command(BaseCommand):
    help = (
        "Bring the database up to date, then run web server, runner, the master's worker and beat together "
        "on whatever is configured. Ctrl-C stops them all, and so does the end of any of them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="address the web server listens on (%(default)s)"
        )
        parser.add_argument("--port", type=int, default=8000, help="its port (%(default)s)")
        parser.add_argument(
            "--workers",
            type=int,
            default=os.cpu_count() or 1,
            help="how many folds train at a time (%(default)s)",
        )

    def handle(self, *, host: str, port: int, workers: int, **options: Any) -> None:
        del options
        if workers < 1:
            raise CommandError("--workers must be at least 1")
        _check_port(host, port)
        environment: Environment = settings.ENVIRONMENT
        _lock(environment)
        call_command("migrate", interactive=False, verbosity=0)
        if environment.production:
            call_command("collectstatic", interactive=False, verbosity=0)
        if environment.broker.kind != "amqp":
            try:
                embedded.start_broker(environment)
            except ConfigurationError as error:
                raise CommandError(error.message) from None
        where = self.style.SUCCESS(f"datarun is at http://{host}:{port}/ and stops with Ctrl-C")
        ended = ProcessGroup(BASE_DIR, self.stdout.write).run(
            {
                "web": commands.web_server(host, port),
                "runner": commands.runner(workers),
                "master": commands.master_worker(),
                "beat": commands.beat(),
            },
            is_up=lambda: _answers(host, port),
            when_up=lambda: self.stdout.write(where),
        )
        if ended is not None:
            raise CommandError(f"{ended} ended by itself, so everything was stopped; its last lines say why")


def _lock(environment: Environment) -> None:
    """Keep the folder to this process, to its end; raise CommandError if another `up` has it."""
    if environment.broker.kind == "amqp":
        return
    environment.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(environment.home / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(
            f"datarun is already up with its files in {environment.home}; set DR_HOME to run another"
        ) from None


def _check_port(host: str, port: int) -> None:
    """Raise CommandError unless the web server can listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"cannot listen on {host}:{port} ({error}); choose another with --port"
            ) from None


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
