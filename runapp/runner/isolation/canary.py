"""Measures how well this host isolates folds, by a fold that tries what none may do."""

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from runapp.contract import TEST_FILE, TRAIN_FILE, Outcome
from runapp.errors import DatarunError
from runapp.parent_death import die_with_parent
from runapp.runner.isolation import canary_fold
from runapp.runner.isolation.level import Level, Measured
from runapp.runner.job import FoldJob, FoldReport, Launcher, Limits
from runapp.runner.scratch import scratch

_LIMITS = Limits(wall_seconds=30, memory_kb=256 * 1024, processes=24)
_MEMORY = "use memory without end"
_NAMES = {attempt: attempt.__name__.replace("_", " ") for attempt in canary_fold.ATTEMPTS}
#: What must not succeed for the level ``partial``; the rest only for ``full``.
_SECRETS = frozenset(
    _NAMES[attempt]
    for attempt in (
        canary_fold.read_files,
        canary_fold.connect,
        canary_fold.signal_processes,
        canary_fold.read_environments,
        canary_fold.write_files,
    )
)
_GONE_SECONDS = 1.0


def measure(launcher: Launcher) -> Measured:
    """Run the canary by ``launcher`` and tell the level from what it could do."""
    try:
        succeeded = _succeeded(launcher)
    except (DatarunError, OSError) as error:
        return Measured(Level.NONE, f"{error} {_remedy()}".strip())
    if not succeeded:
        return Measured(Level.FULL)
    level = Level.NONE if succeeded & _SECRETS else Level.PARTIAL
    return Measured(level, f"a fold here can {', '.join(sorted(succeeded))}. {_remedy()}".strip())


def _succeeded(launcher: Launcher) -> set[str]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch()).root
        targets = stack.enter_context(_targets(folder))
        report = _run(launcher, folder / "attempts", targets.description)
        if report.outcome is not Outcome.OK or report.test_predictions is None:
            raise OSError(f"the canary fold ended as {report.outcome}: {report.log_messages}")
        succeeded = {
            name for name, value in zip(_NAMES.values(), report.test_predictions, strict=True) if value
        }
        if targets.was_signalled():
            succeeded.add(_NAMES[canary_fold.signal_processes])
        if targets.daemon_stays():
            succeeded.add(_NAMES[canary_fold.leave_a_daemon])
        greedy = {**targets.description, "allocate_kb": 3 * _LIMITS.memory_kb}
        if _run(launcher, folder / "memory", greedy).outcome is not Outcome.MEMORY:
            succeeded.add(_MEMORY)
    return succeeded


def _run(launcher: Launcher, folder: Path, description: dict[str, Any]) -> FoldReport:
    n_rows = len(canary_fold.ATTEMPTS)
    data, submission = folder / "data", folder / "submission"
    for place in (data, submission):
        place.mkdir(parents=True)
    table = "x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(n_rows))
    for name in (TRAIN_FILE, TEST_FILE):
        (data / name).write_text(table)
    shutil.copyfile(canary_fold.__file__, submission / "classifier.py")
    (submission / "targets.json").write_text(
        json.dumps({**description, "files": [*description["files"], f"{data}/{TEST_FILE}"]})
    )
    job = FoldJob(
        data_folder=data, submission_folder=submission, custom=False, workflow_elements=("classifier",),
        target_column="y", n_train_rows=n_rows, n_test_rows=n_rows, train_is=np.arange(n_rows),
    )  # fmt: skip
    return launcher.run_fold(job, _LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)


@dataclasses.dataclass(frozen=True)
class _Targets:
    description: dict[str, Any]
    process: subprocess.Popen[bytes]

    def was_signalled(self) -> bool:
        return self.process.poll() is not None

    def daemon_stays(self) -> bool:
        deadline = time.monotonic() + _GONE_SECONDS
        while _is_running(self.description["daemon"]):
            if time.monotonic() > deadline:
                return True
            time.sleep(0.02)
        return False


@contextlib.contextmanager
def _targets(folder: Path) -> Iterator[_Targets]:
    """Harmless things of this machine to aim at: files, sockets, a process with a secret."""
    secret, name = uuid.uuid4().hex, f"canary-{uuid.uuid4().hex[:8]}"
    (folder / "secret").write_text(secret)
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for address in (f"{folder}/socket", f"\0{name}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        process = stack.enter_context(
            subprocess.Popen(
                ["sleep", "60"],
                env={"PATH": os.defpath, "DATARUN_CANARY": secret},
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - calls one function of C
            )
        )
        stack.callback(process.kill)
        yield _Targets(
            {
                "files": [f"{folder}/secret"], "folders": [str(folder)], "port": tcp.getsockname()[1],
                "socket": f"{folder}/socket", "abstract_socket": name, "pid": process.pid, "secret": secret,
                "processes": _LIMITS.processes, "daemon": name, "allocate_kb": 0,
            },
            process,
        )  # fmt: skip


def _is_running(name: str) -> bool:
    for entry in os.scandir("/proc"):
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and Path(entry.path, "comm").read_text().strip() == name:
                return True
    return False


def _remedy() -> str:
    """What to do about the most frequent reasons, as far as this host tells."""
    if shutil.which("bwrap") is None:
        return "Install bubblewrap (on Debian and Ubuntu: apt-get install bubblewrap libseccomp2)."
    for setting, wanted in _HOST_SETTINGS.items():
        with contextlib.suppress(OSError, ValueError):
            if int(Path("/proc/sys", *setting.split(".")).read_text()) != wanted:
                return f"This host forbids user namespaces: sysctl {setting}={wanted} allows them."
    return ""


#: Settings by which distributions forbid what an unprivileged sandbox needs, and the value that allows it.
_HOST_SETTINGS = {"kernel.unprivileged_userns_clone": 1, "kernel.apparmor_restrict_unprivileged_userns": 0}
