"""datarun as it is deployed, on private services: gunicorn, runners, the master's worker and beat, each a
process of its own."""

import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from runapp import commands
from runapp.contract import Queue
from runapp.environment import BASE_DIR
from test_files.client import Datarun
from test_files.processes import (
    Process,
    ProcessFailed,
    answers,
    clean_environment,
    free_ports,
    start_all,
    stop_all,
)
from test_files.services import Services

#: What each runner takes. A fold of high priority never waits for one of low priority so.
DEFAULT_RUNNERS = ((Queue.LOW, Queue.SPLIT), (Queue.HIGH,))


class Stack:
    """All processes of datarun, running while the context lasts.

    ``web``, ``runners``, ``master`` and ``beat`` are processes that a test may stop, kill and start again.

    Parameters
    ----------
    services:
        Running services; whoever started them stops them.
    runners:
        The queues of each runner; each trains one fold at a time.
    variables:
        Settings of datarun beside those of the services.
    """

    def __init__(
        self,
        services: Services,
        *,
        runners: Sequence[tuple[Queue, ...]] = DEFAULT_RUNNERS,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.services = services
        self.folder = services.folder
        self.environment = clean_environment() | services.environment | {"CELERY_SCHEDULER_PERIOD": "*"}
        self.environment |= variables or {}
        self.username, self.password = "tester", secrets.token_hex(12)  # no option: no dash
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.web = self._process(
            "web", commands.web_server("127.0.0.1", port), is_ready=lambda: answers(self.url)
        )
        self.runners = [
            self._worker(f"runner{number}", commands.runner(1, name=f"runner{number}", queues=queues))
            for number, queues in enumerate(runners, 1)
        ]
        self.master = self._worker("master", commands.master_worker())
        self.beat = self._process("beat", commands.beat(), says="beat: Starting...")
        self.processes = [self.web, *self.runners, self.master, self.beat]

    def __enter__(self) -> Self:
        manage(self.environment, "migrate", "--verbosity", "0")
        manage(
            self.environment, "createuser", self.username, "tester@localhost", self.password, "--superuser"
        )
        start_all(self.processes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_all(self.processes)

    @property
    def exchange_folder(self) -> Path:
        return Path(self.environment["DIR_SUBMISSION"]) / ".datarun"

    def client(self) -> Datarun:
        return Datarun(self.url, self.username, self.password)

    def _worker(self, name: str, command: list[str]) -> Process:
        return self._process(name, command, says=" ready.")

    def _process(
        self, name: str, command: list[str], *, is_ready: Callable[[], bool] | None = None, says: str = ""
    ) -> Process:
        return Process(
            name,
            command,
            folder=self.folder,
            environment=self.environment,
            working_folder=BASE_DIR,
            is_ready=is_ready,
            says=says,
        )


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """Run ``manage.py``; what it printed, or ProcessFailed with that."""
    done = subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", *arguments],
        env=dict(environment), cwd=BASE_DIR, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if done.returncode:
        raise ProcessFailed(f"manage.py {arguments[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return done.stdout
