"""``manage.py up``: everything in one terminal, embedded, and never a process left behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from runapp.environment import BASE_DIR
from test_files.client import Datarun
from test_files.examples import STANDARD_EXAMPLES
from test_files.processes import Process, answers, clean_environment, free_ports, wait_until
from test_files.stack import manage
from test_files.test_workflow import compare, send

_PASSWORD = "a password of the tests"


class EmbeddedDatarun:
    """``manage.py up`` in a folder of its own."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.environment = clean_environment() | {"DR_HOME": str(folder), "DR_EMBEDDED_BROKER": broker}
        self._home = folder
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.up = Process(
            "up",
            [sys.executable, BASE_DIR / "manage.py", "up", "--port", str(port), "--workers", "1"],
            folder=folder,
            environment=self.environment,
            working_folder=BASE_DIR,
            is_ready=lambda: answers(self.url),
            death_signal=signal.SIGTERM,
        )

    def processes(self) -> list[psutil.Process]:
        """All running processes of this datarun, also those that lost their parent."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DR_HOME") == str(self._home) and process.status() != "zombie":
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it ended meanwhile, or is another user's
        return found

    def process_of(self, *words: str) -> psutil.Process:
        """The oldest process whose command line has all ``words``."""
        found = [process for process in self.processes() if set(words) <= set(process.cmdline())]
        return min(found, key=lambda process: process.create_time())

    def wait_until_nothing_is_left(self) -> None:
        wait_until(lambda: not self.processes(), seconds=30, what="the end of all its processes")


@pytest.fixture
def start_embedded(tmp_path: Path) -> Iterator[Callable[[str], EmbeddedDatarun]]:
    started: list[EmbeddedDatarun] = []

    def start(broker: str) -> EmbeddedDatarun:
        datarun = EmbeddedDatarun(tmp_path, broker)
        started.append(datarun)
        datarun.up.start()
        datarun.up.wait_until_ready()
        return datarun

    yield start
    for datarun in started:
        datarun.up.stop(seconds=30)
        print(datarun.up.log_end())  # which pytest shows with a failure


@pytest.mark.parametrize("broker", ["redis", "files"])
def test_embedded_datarun_trains_without_a_server_and_leaves_nothing_behind(
    broker: str, start_embedded: Callable[[str], EmbeddedDatarun]
) -> None:
    embedded = start_embedded(broker)
    manage(embedded.environment, "createuser", "tester", "tester@localhost", _PASSWORD)

    datarun = Datarun(embedded.url, "tester", _PASSWORD)
    compare(datarun, send(datarun, STANDARD_EXAMPLES[0], n_folds=2))

    embedded.up.stop(seconds=30)
    embedded.wait_until_nothing_is_left()


def test_the_end_of_one_process_stops_all_with_an_error(
    start_embedded: Callable[[str], EmbeddedDatarun],
) -> None:
    embedded = start_embedded("files")

    embedded.process_of("beat").kill()

    wait_until(lambda: not embedded.up.is_running(), seconds=30, what="the end of up")
    assert embedded.up.exit_code not in (0, None)
    assert "beat ended by itself" in embedded.up.log_end()
    embedded.wait_until_nothing_is_left()


def test_nothing_is_left_when_up_itself_is_killed(start_embedded: Callable[[str], EmbeddedDatarun]) -> None:
    embedded = start_embedded("redis")

    os.kill(embedded.up.pid, signal.SIGKILL)

    embedded.wait_until_nothing_is_left()


def test_ctrl_c_ends_up_without_an_error(start_embedded: Callable[[str], EmbeddedDatarun]) -> None:
    embedded = start_embedded("files")

    os.kill(embedded.up.pid, signal.SIGINT)

    wait_until(lambda: not embedded.up.is_running(), seconds=40, what="the end of up")
    assert embedded.up.exit_code == 0
    embedded.wait_until_nothing_is_left()


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = subprocess.run(
            [sys.executable, BASE_DIR / "manage.py", "up", "--port", str(port)],
            env=clean_environment() | {"DR_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert refused.returncode != 0
    assert f"cannot listen on 127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr
    assert not (tmp_path / "datarun.sqlite3").exists()
