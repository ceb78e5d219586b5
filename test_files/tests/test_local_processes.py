"""The scripts that start datarun's processes, at work on an embedded datarun of their own."""

import os
import re
import signal
import subprocess

import psutil
import pytest

from test_files.examples import FOLDER
from test_files.processes import free_ports, wait_until
from test_files.stack import answers, clean_environment

pytestmark = pytest.mark.slow

START_SECONDS = 120


@pytest.fixture
def environment(tmp_path):
    return clean_environment() | {
        "DR_HOME": str(tmp_path / "home"),
        "DR_LOCAL_TEST_HOME": str(tmp_path / "test"),
    }


@pytest.fixture
def cmd_workers(environment):
    def run(*arguments):
        return subprocess.run(
            ["bash", "cmd_workers.sh", *arguments], cwd=FOLDER, env=environment,
            capture_output=True, text=True, timeout=2 * START_SECONDS,
        )  # fmt: skip

    yield run
    run("stop")


def pids(told):
    """Pids by name in what cmd_workers.sh says."""
    return {name: int(pid) for name, pid in re.findall(r"^(\w+) .*\(pid (\d+)\)$", told, re.MULTILINE)}


def runs(pid):
    # Where nobody reaps them, ended processes stay as zombies.
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_workers_start_once_restart_and_stop(cmd_workers, tmp_path):
    started = cmd_workers("start", "2", "1")
    assert (started.returncode, started.stderr) == (0, "")
    first = pids(started.stdout)
    assert sorted(first) == ["beat", "master1", "runner1", "runner2"]
    command_line = psutil.Process(first["runner2"]).cmdline()
    assert command_line[command_line.index("-Q") + 1] == "L,H,celery"
    command_line = psutil.Process(first["master1"]).cmdline()
    assert command_line[command_line.index("-Q") + 1] == "master_periodic"

    again = cmd_workers("start", "2", "1")
    assert again.stdout.count("runs already") == 4
    assert pids(again.stdout) == first

    restarted = cmd_workers("restart", "1", "1")
    assert restarted.returncode == 0
    assert sorted(pids(restarted.stdout)) == ["beat", "master1", "runner1"]
    assert not any(runs(pid) for pid in first.values())

    stopped = cmd_workers("stop")
    assert stopped.returncode == 0
    assert sorted(stopped.stdout.split()[::2]) == ["beat", "master1", "runner1"]
    assert not any(runs(pid) for pid in pids(restarted.stdout).values())
    assert list((tmp_path / "home" / "run").iterdir()) == []


def test_the_local_test_in_two_terminals(environment, tmp_path):
    [port] = free_ports(1)
    with (
        open(tmp_path / "terminal_one.log", "wb") as log,
        subprocess.Popen(
            ["bash", "local_test1.sh", "--port", str(port), "--workers", "2"], cwd=FOLDER, env=environment,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        ) as terminal_one,
    ):  # fmt: skip
        try:
            terminal_two = subprocess.run(
                ["bash", "local_test2.sh", "-d", "--folds", "1"], cwd=FOLDER, env=environment,
                capture_output=True, text=True, timeout=600,
            )  # fmt: skip
            assert terminal_two.returncode == 0, terminal_two.stderr[-3000:]
            lines = terminal_two.stdout.splitlines()
            assert [line for line in lines if "Oh yeah" in line] == ["Oh yeah 1!", "Oh yeah 2!"]
            assert list((tmp_path / "test" / "data").iterdir()) == []
            assert answers(f"http://127.0.0.1:{port}")
            processes = psutil.Process(terminal_one.pid).children(recursive=True)
            assert len(processes) >= 4
            # As Ctrl-C in a terminal does, to all of them.
            os.killpg(terminal_one.pid, signal.SIGINT)
            wait_until(lambda: terminal_one.poll() is not None, seconds=60, what="the end of terminal one")
            wait_until(
                lambda: not any(runs(process.pid) for process in processes), seconds=30, what="the end of all"
            )
        finally:
            if terminal_one.poll() is None:
                os.killpg(terminal_one.pid, signal.SIGKILL)
    assert not (tmp_path / "home").exists()
