"""Processes that tests and benchmarks start: waited for by a condition, never left behind."""

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from runapp.parent_death import die_with_parent

_LOG_END_CHARS = 3000
#: Below the range from which the kernel takes the ports of outgoing connections.
_PORTS = range(20_000, 32_000)


class ProcessFailed(RuntimeError):
    """A process did not start, with the end of its log."""


class Process:
    """One process with a log of its own, in a session of its own.

    It gets ``death_signal`` when the thread that started it dies, so start it from a thread that stays.

    Parameters
    ----------
    is_ready:
        Called until it returns true; an exception of the types in ``not_yet`` means "not yet".
    says:
        In place of ``is_ready``: what the process writes once it is ready.
    stop_signal:
        The signal that makes the process end in order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str],
        is_ready: Callable[[], object] | None = None,
        says: str = "",
        not_yet: tuple[type[Exception], ...] = (OSError,),
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGKILL,
        start_seconds: float = 60.0,
        working_folder: Path | None = None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = folder / f"{name}.log"
        self.environment = dict(environment)
        self.stop_signal = stop_signal
        self._death_signal = death_signal
        self.start_seconds = start_seconds
        self.working_folder = working_folder or folder
        self._is_ready = is_ready or (lambda: says in self.log_since_start())
        self._log_start = 0
        self._not_yet = not_yet
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start the process; `wait_until_ready` tells when it can be used."""
        with open(self.log, "ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.working_folder,
                start_new_session=True,
                preexec_fn=die_with_parent(self._death_signal),
            )

    def wait_until_ready(self) -> None:
        """Wait for the process to be usable; raises ProcessFailed with the end of its log."""
        deadline = time.monotonic() + self.start_seconds
        last_error: Exception | None = None
        while True:
            try:
                if self._is_ready():
                    return
            except self._not_yet as error:
                last_error = error
            if not self.is_running():
                raise ProcessFailed(f"{self.name} ended while it started.\n{self.log_end()}")
            if time.monotonic() > deadline:
                why = f" ({last_error})" if last_error else ""
                raise ProcessFailed(
                    f"{self.name} was not ready after {self.start_seconds:.0f} s{why}.\n{self.log_end()}"
                )
            time.sleep(0.05)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process, negative for the signal that ended it; None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait(self) -> None:
        """Wait until the process ends."""
        if self._process is not None:
            self._process.wait()

    def kill(self) -> None:
        """End the process at once, and with it what it left in its session."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def stop(self, *, seconds: float = 20.0) -> None:
        """End the process in order, and by force when that takes longer than ``seconds``."""
        stop_all([self], seconds=seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all others in its session's group."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # all of them ended by themselves

    def log_since_start(self) -> str:
        """What the process wrote since it was started last."""
        return self.log.read_bytes()[self._log_start :].decode(errors="replace")

    def log_end(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- end of {self.log.name} ---\n{text[-_LOG_END_CHARS:].strip() or '(empty)'}"


def start_all(processes: Sequence[Process]) -> None:
    """Start processes at the same time and wait for each; on a failure none is left."""
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.wait_until_ready()
    except BaseException:
        stop_all(processes)
        raise


def stop_all(processes: Sequence[Process], *, seconds: float = 20.0) -> None:
    """Stop processes at the same time; ``seconds`` bounds them all together."""
    for process in processes:
        if process.is_running():
            os.kill(process.pid, process.stop_signal)
    deadline = time.monotonic() + seconds
    for process in processes:
        while process.is_running() and time.monotonic() < deadline:
            time.sleep(0.02)
    for process in processes:
        process.kill()


def free_ports(count: int) -> list[int]:
    """Different TCP ports of the loopback interface that nothing listens on."""
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if is_free(port):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise ProcessFailed(f"there are no {count} free ports between {_PORTS.start} and {_PORTS.stop}")


def is_free(port: int) -> bool:
    """Whether nothing listens on a TCP port of the loopback interface."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Wait until ``condition()`` is true; raises TimeoutError saying ``what`` did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Whether a web server answers there, whatever it says."""
    try:
        with urllib.request.urlopen(f"{url}/runapp/", timeout=10):
            return True
    except urllib.error.HTTPError:
        return True


def clean_environment() -> dict[str, str]:
    """The environment of this process without any setting of datarun's."""
    others = {"DIR_DATA", "DIR_SUBMISSION", "RMQ_VHOST", "IP_MASTER", "CELERY_SCHEDULER_PERIOD"}
    return {
        name: value for name, value in os.environ.items() if not name.startswith("DR_") and name not in others
    }
