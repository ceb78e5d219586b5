"""A fold lives no longer than whoever asked for it; the server lives as long as somebody may ask."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from runapp.contract import Outcome, State
from runapp.runner.isolation import host, packages, view
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.prepared import PreparedDataSets
from runapp.tests.attacks.sandbox import LIMITS, Sandbox, processes_of_folds, server_processes, write_data

TALK = """
import time

class Classifier:
    def fit(self, X, y):
        print("epoch 1")
        print(__file__)
        time.sleep(60)

    def predict_proba(self, X): ...
"""
SLEEP = """
import time
class Classifier:
    def fit(self, X, y):
        time.sleep(60)
"""
NAP = f"""
{SLEEP.replace("60", "2")}
    def predict_proba(self, X):
        return [[0.5, 0.5]] * len(X)
"""


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[FoldServer]:
    server = FoldServer(tmp_path / "server", idle_seconds=600)
    yield server
    server.close()


@pytest.fixture
def own_sandbox(own_server: FoldServer, tmp_path: Path) -> Sandbox:
    """A sandbox on a server of its own, which the test may end."""
    write_data(tmp_path / "data")
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30)
    return Sandbox(IsolatedProcess(own_server, data_sets, isolation="full"), tmp_path)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def folds_running() -> bool:
    return bool(processes_of_folds(0))


def test_a_cancelled_fold_is_gone_within_a_second(sandbox: Sandbox) -> None:
    submission = sandbox.folder / "sleeping"
    submission.mkdir()
    (submission / "classifier.py").write_text(SLEEP)
    cancelled_at = None

    def is_cancelled() -> bool:
        nonlocal cancelled_at
        if cancelled_at is None and folds_running():
            cancelled_at = time.monotonic()
        return cancelled_at is not None

    report = sandbox.launcher.run_fold(
        sandbox.job(submission), LIMITS, on_stage=lambda *_: None, is_cancelled=is_cancelled
    )
    assert report.outcome is Outcome.CANCELLED
    assert cancelled_at is not None
    assert time.monotonic() - cancelled_at < 1
    assert not processes_of_folds(0.2)


def test_an_exception_through_a_run_ends_the_fold(sandbox: Sandbox) -> None:
    submission = sandbox.folder / "sleeping"
    submission.mkdir()
    (submission / "classifier.py").write_text(SLEEP)

    class TooLate(Exception):
        pass

    def is_cancelled() -> bool:
        raise TooLate

    with pytest.raises(TooLate):
        sandbox.launcher.run_fold(
            sandbox.job(submission), LIMITS, on_stage=lambda *_: None, is_cancelled=is_cancelled
        )
    assert not processes_of_folds(1)


def test_stages_are_told_when_they_are_reached(sandbox: Sandbox) -> None:
    submission = sandbox.folder / "plain"
    submission.mkdir()
    (submission / "classifier.py").write_text(
        "import numpy as np\nclass Classifier:\n    def fit(self, X, y): pass\n"
        "    def predict_proba(self, X): return np.zeros((len(X), 2))\n"
    )
    stages: list[tuple[State, float]] = []
    report = sandbox.launcher.run_fold(
        sandbox.job(submission),
        LIMITS,
        on_stage=lambda state, at: stages.append((state, at)),
        is_cancelled=lambda: False,
    )
    assert stages == [(State.TRAINED, report.trained_at), (State.VALIDATED, report.validated_at)]
    assert report.trained_at is not None
    assert report.tested_at is not None
    assert report.trained_at <= report.tested_at <= time.time()


CLIENT = """
import sys
from pathlib import Path
from runapp.tests.attacks.sandbox import Sandbox, write_data
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.prepared import PreparedDataSets
folder = Path(sys.argv[1])
write_data(folder / "data")
server = FoldServer(folder / "server", idle_seconds=600)
launcher = IsolatedProcess(server, PreparedDataSets(folder / "prepared", max_bytes=1 << 30), isolation="full")
print("starting", flush=True)
Sandbox(launcher, folder).run({source!r}, wall_seconds=60)
"""


def test_a_killed_runner_takes_its_folds_and_its_server_along(tmp_path: Path) -> None:
    marker = f"datarun-{os.getpid()}-{time.monotonic_ns()}"
    source = SLEEP.replace(
        "time.sleep(60)", f"import ctypes; ctypes.CDLL(None).prctl(15, b'{marker[-15:]}'); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", CLIENT.format(source=source), str(tmp_path)]) as runner:
        wait_for(lambda: _named(marker[-15:]), 60)
        server = psutil.Process(runner.pid).children(recursive=True)
        runner.kill()
    wait_for(lambda: not _named(marker[-15:]), 1)
    wait_for(lambda: not any(_is_alive(process) for process in server), 6)


def _named(name: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["name"]) if process.info["name"] == name]


@pytest.mark.parametrize("names", [{"bwrap", "fold-server", "zygote"}, {"zygote"}], ids=["all", "zygote"])
def test_a_killed_server_is_an_error_of_the_machine_and_the_next_fold_gets_a_new_one(
    own_sandbox: Sandbox, names: set[str]
) -> None:
    before = server_processes()
    assert own_sandbox.run_plain().outcome is Outcome.OK
    first = server_processes() - before
    killer = threading.Thread(
        target=_kill_while_running, args=[[process for process in first if process.name() in names]]
    )
    killer.start()
    with pytest.raises(OSError):
        own_sandbox.run(SLEEP)
    killer.join()
    assert not processes_of_folds(1)
    assert own_sandbox.run_plain().outcome is Outcome.OK
    assert not any(_is_alive(process) for process in first)


def _kill_while_running(processes: list[psutil.Process]) -> None:
    wait_for(folds_running)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_a_fold_outlives_a_killed_server(own_sandbox: Sandbox) -> None:
    before = server_processes()
    assert own_sandbox.run_plain().outcome is Outcome.OK
    servers = [process for process in server_processes() - before if process.name() == "fold-server"]
    killer = threading.Thread(target=_kill_while_running, args=[servers])
    killer.start()
    report = own_sandbox.run(NAP)
    killer.join()
    assert report.outcome is Outcome.OK
    assert own_sandbox.run_plain().outcome is Outcome.OK


def test_an_idle_server_ends_and_the_next_fold_starts_one(tmp_path: Path) -> None:
    write_data(tmp_path / "data")
    server = FoldServer(tmp_path / "server", idle_seconds=0.5)
    launcher = IsolatedProcess(
        server, PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30), isolation="full"
    )
    sandbox = Sandbox(launcher, tmp_path)
    before = server_processes()
    assert sandbox.run_plain().outcome is Outcome.OK
    own = server_processes() - before
    wait_for(lambda: not any(_is_alive(process) for process in own))
    assert sandbox.run_plain().outcome is Outcome.OK
    server.close()


def test_an_upgrade_of_the_packages_brings_a_new_server_and_ends_the_old_one(
    own_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = server_processes()
    assert own_sandbox.run_plain().outcome is Outcome.OK
    old = server_processes() - before
    monkeypatch.setattr(packages, "fingerprint", lambda: "after-an-upgrade")
    assert own_sandbox.run_plain().outcome is Outcome.OK
    wait_for(lambda: not any(_is_alive(process) for process in old))
    assert own_sandbox.run_plain().outcome is Outcome.OK


def test_the_fingerprint_changes_with_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_FOLDERS", (tmp_path,))
    before = packages.fingerprint()
    assert packages.fingerprint() == before
    (tmp_path / "a_package").mkdir()
    installed = packages.fingerprint()
    assert installed != before
    (tmp_path / "a_package").rmdir()
    tmp_path.rmdir()
    assert packages.fingerprint() not in (installed, before)


def test_versions_are_those_installed_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_FOLDERS", (tmp_path,))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found: list[str] = []
    for number in ("1.0", "1.1"):
        information = tmp_path / f"a_package-{number}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Name: a_package\nVersion: {number}\n")
        os.utime(tmp_path, ns=(0, int(number.replace(".", ""))))
        found += packages.versions("a_package")
        shutil.rmtree(information)
    assert found == ["1.0", "1.1"]


def test_runners_of_one_host_share_a_server(own_sandbox: Sandbox, tmp_path: Path) -> None:
    before = server_processes()
    other = FoldServer(tmp_path / "server", idle_seconds=600)
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30)
    assert own_sandbox.run_plain().outcome is Outcome.OK
    first = server_processes() - before
    second = dataclasses.replace(
        own_sandbox, launcher=IsolatedProcess(other, data_sets, isolation="full"), n_runs=100
    )
    assert second.run_plain().outcome is Outcome.OK
    assert server_processes() - before == first
    other.close()
    assert own_sandbox.run_plain().outcome is Outcome.OK


def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_ENGINE_PARTS", ())
    write_data(tmp_path / "data")
    server = FoldServer(tmp_path / "server", idle_seconds=60)
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30)
    with pytest.raises(OSError, match="No module named 'runapp'"):
        Sandbox(IsolatedProcess(server, data_sets, isolation="full"), tmp_path).run_plain()
    server.close()


@pytest.mark.slow
def test_a_thousand_folds_eight_at_a_time_leave_nothing_behind(sandbox: Sandbox) -> None:
    server = max(server_processes(), key=lambda process: process.memory_info().rss)

    def rounds(n_folds: int) -> None:
        with ThreadPoolExecutor(8) as pool:
            reports = list(pool.map(lambda _: sandbox.run_plain(), range(n_folds)))
        assert all(report.outcome is Outcome.OK for report in reports)
        for report in reports:
            np.testing.assert_array_equal(report.test_predictions, reports[0].test_predictions)

    rounds(100)
    assert not processes_of_folds()
    memory, descriptors, mounts = server.memory_info().rss, server.num_fds(), _mounts(server)
    rounds(900)
    assert not processes_of_folds()
    assert server.memory_info().rss < memory + (2 << 20)
    assert server.num_fds() == descriptors
    assert _mounts(server) == mounts
    assert not server.children()


def _mounts(process: psutil.Process) -> str:
    return Path(f"/proc/{process.pid}/mounts").read_text()


def test_a_stopped_runner_does_not_stop_the_others(sandbox: Sandbox, tmp_path: Path) -> None:
    """A connection that says nothing is given up after a while, and does not hold the server."""
    server_folder = next(iter(Path(tmp_path.parent).glob("isolation*/server")), None)
    assert server_folder is not None
    with contextlib.closing(host._connected(server_folder, packages.fingerprint())):
        assert sandbox.run_plain().outcome is Outcome.OK


def test_what_a_fold_prints_is_seen_while_it_runs_without_paths_of_the_machine(sandbox: Sandbox) -> None:
    submission = sandbox.folder / "talking"
    submission.mkdir()
    (submission / "classifier.py").write_text(TALK)
    seen: list[str] = []

    report = sandbox.launcher.run_fold(
        sandbox.job(submission), LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: bool(seen),
        on_output=seen.append,
    )  # fmt: skip

    assert report.outcome is Outcome.CANCELLED
    assert seen[0].startswith("epoch 1\nclassifier.py")
