"""The private services themselves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from runapp.environment import BASE_DIR
from test_files.processes import wait_until
from test_files.services import missing_packages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.skipif(bool(missing_packages()), reason=f"not installed here: {missing_packages()}"),
]


def test_nothing_runs_on_when_the_starter_of_services_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    command = f"echo $$ > {place}.part && mv {place}.part {place} && exec sleep 600"
    starter = subprocess.Popen(
        [sys.executable, BASE_DIR / "test_files" / "services.py", "run", "--", "sh", "-c", command]
    )
    try:
        wait_until(place.exists, seconds=90, what="the start of the services")
        started = psutil.Process(starter.pid).children(recursive=True)
        names = {process.name() for process in started}
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()

    assert {"redis-server", "postgres", "epmd", "beam.smp"} <= names
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not [process for process in alive if process.is_running() and process.status() != "zombie"]


def test_the_exit_code_of_the_command_is_passed_on() -> None:
    done = subprocess.run(
        [sys.executable, BASE_DIR / "test_files" / "services.py", "run", "--", "sh", "-c", "exit 7"],
        timeout=120,
        check=False,
    )

    assert done.returncode == 7
