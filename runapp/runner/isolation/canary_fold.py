"""The canary: a submission that tries what no submission may do, and predicts which of it succeeded.

Run by ``canary`` as ``classifier.py`` of a fold; ``targets.json`` beside it says what to aim at.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

_CLONE_NEWUSER = 0x10000000
_PR_SET_NAME = 15
_DAEMON_SECONDS = 60
_CHUNK_BYTES = 16 << 20


def read_files(targets: dict[str, Any]) -> bool:
    return any(_opens(path, "rb") for path in targets["files"])


def connect(targets: dict[str, Any]) -> bool:
    addresses = [
        (socket.AF_INET, ("127.0.0.1", targets["port"])),
        (socket.AF_UNIX, targets["socket"]),
        (socket.AF_UNIX, "\0" + targets["abstract_socket"]),
    ]
    return any(_connects(family, address) for family, address in addresses)


def signal_processes(targets: dict[str, Any]) -> bool:
    with suppress(OSError):
        os.kill(targets["pid"], signal.SIGTERM)
    return False  # who sent it can see whether it arrived


def read_environments(targets: dict[str, Any]) -> bool:
    for entry in os.scandir("/proc"):
        with suppress(OSError):
            if targets["secret"].encode() in Path(entry.path, "environ").read_bytes():
                return True
    return False


def write_files(targets: dict[str, Any]) -> bool:
    return any(
        _opens(f"{folder}/canary", "xb") for folder in [*targets["folders"], sys.prefix, "/usr", "/etc", "/"]
    )


def fork_without_end(targets: dict[str, Any]) -> bool:
    children: list[int] = []
    try:
        for _ in range(2 * targets["processes"]):
            pid = os.fork()
            if pid == 0:
                time.sleep(_DAEMON_SECONDS)
                os._exit(0)
            children.append(pid)
    except BlockingIOError:
        pass
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return len(children) > int(targets["processes"])


def call_the_kernel(_: dict[str, Any]) -> bool:
    with suppress(OSError):
        socket.socket(socket.AF_INET).close()
        return True
    return bool(ctypes.CDLL(None).unshare(_CLONE_NEWUSER) == 0)


def list_devices(_: dict[str, Any]) -> bool:
    with suppress(OSError):
        return bool(os.listdir("/dev"))
    return False


def leave_a_daemon(targets: dict[str, Any]) -> bool:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return False  # whoever looks for it afterwards can see whether it stayed
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(_PR_SET_NAME, targets["daemon"].encode())
        time.sleep(_DAEMON_SECONDS)
    os._exit(0)


ATTEMPTS: tuple[Callable[[dict[str, Any]], bool], ...] = (
    read_files, connect, signal_processes, read_environments, write_files, fork_without_end, call_the_kernel,
    list_devices, leave_a_daemon,
)  # fmt: skip


class Classifier:
    """Predicts 1 for each of ``ATTEMPTS`` that succeeded."""

    def fit(self, X: Any, y: Any) -> None:
        targets = json.loads(Path(__file__).with_name("targets.json").read_text())
        if targets["allocate_kb"]:
            allocate(targets["allocate_kb"])
        self._succeeded = [attempt(targets) for attempt in ATTEMPTS]

    def predict_proba(self, X: Any) -> Any:
        return np.array(self._succeeded, dtype=float)


def allocate(kb: int) -> None:
    kept = [b"\1" * _CHUNK_BYTES for _ in range(0, kb * 1024, _CHUNK_BYTES)]
    time.sleep(1)
    kept.clear()


def _opens(path: str, mode: str) -> bool:
    with suppress(OSError), open(path, mode):
        return True
    return False


def _connects(family: int, address: Any) -> bool:
    with suppress(OSError), socket.socket(family) as connection:
        connection.settimeout(1)
        connection.connect(address)
        return True
    return False
