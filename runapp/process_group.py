"""Several long-running processes in one terminal that start, print and stop together. No Django."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from runapp.parent_death import die_with_parent

#: What ends the processes, in turn, and for how many seconds each is given: Celery finishes its
#: running tasks on the first, hands them back on the second.
STOP_PHASES = ((signal.SIGTERM, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

_POLL_SECONDS = 0.1


class ProcessGroup:
    """Runs processes until a signal comes or one of them ends, then stops them all.

    Parameters
    ----------
    folder:
        Where the processes run.
    write_line:
        Takes each line they print, prefixed by the name of its process.
    """

    def __init__(self, folder: Path, write_line: Callable[[str], object]) -> None:
        self._folder = folder
        self._write_line = write_line
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._selector = selectors.DefaultSelector()
        self._partial: dict[str, bytes] = {}
        self._signals = 0

    def run(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        is_up: Callable[[], bool],
        when_up: Callable[[], object],
    ) -> str | None:
        """Run ``commands`` by name until all have ended; ``when_up`` is called once ``is_up`` says so.

        Returns the name of the process that ended by itself, and so stopped the others, or None where a
        signal (SIGINT, SIGTERM, SIGHUP) did.
        """
        ended: str | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._count_signal)
        try:
            for name, command in commands.items():
                self._start(name, command)
            announced = False
            while not self._signals and ended is None:
                self._pass_on_output()
                ended = next((name for name in self._processes if not self._is_running(name)), None)
                if not announced and is_up():
                    announced = True
                    when_up()
        finally:
            self._stop()
        return ended

    def _count_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._signals += 1

    def _start(self, name: str, command: Sequence[str]) -> None:
        # In a session of its own: Ctrl-C must reach this process alone, which stops them in order.
        process = subprocess.Popen(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGQUIT),  # noqa: PLW1509 - this process has one thread
        )
        self._selector.register(process.stdout, selectors.EVENT_READ, name)  # type: ignore[arg-type]
        self._processes[name] = process
        self._partial[name] = b""

    def _pass_on_output(self, seconds: float = _POLL_SECONDS) -> bool:
        """Write what the processes print within ``seconds``; tells whether there was anything to read."""
        if not self._selector.get_map():
            time.sleep(seconds)
        ready = self._selector.select(seconds)
        for key, _ in ready:
            name = key.data
            chunk = os.read(key.fd, 1 << 16)
            *lines, self._partial[name] = (self._partial[name] + chunk).split(b"\n")
            if not chunk:
                self._selector.unregister(key.fileobj)
                lines = [self._partial[name]] if self._partial[name] else []
            for line in lines:
                self._write_line(f"{name:>7} | {line.decode(errors='replace')}")
        return bool(ready)

    def _stop(self) -> None:
        """End all processes: one phase after the other, the next one early when a further signal comes."""
        for number, seconds in STOP_PHASES:
            for name, process in self._processes.items():
                if number == signal.SIGKILL:
                    _kill_session(process)
                elif self._is_running(name):
                    process.send_signal(number)
            deadline = time.monotonic() + seconds
            signals_before = self._signals
            while any(map(self._is_running, self._processes)) and self._signals == signals_before:
                self._pass_on_output()
                if time.monotonic() > deadline:
                    break
        while self._pass_on_output(0):
            pass  # what they printed last
        self._selector.close()

    def _is_running(self, name: str) -> bool:
        return self._processes[name].poll() is None


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it may have left in its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended, and left nothing
