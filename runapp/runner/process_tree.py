"""All the processes of one run: what they use, and their end.

While folds run, the process that runs them is the reaper of what they leave behind, so a daemon that a
submission starts is adopted here, found and killed. It starts no other children while a fold runs.
"""

import contextlib
import ctypes
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Self

_PR_SET_CHILD_SUBREAPER = 36
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
#: clock_getcpuclockid(3): the clock of a process, all its threads together, in nanoseconds.
_CPUCLOCK_SCHED = 2
#: Written to /proc/PID/clear_refs, starts the peak of its resident memory anew (proc_pid_clear_refs(5)).
_RESET_PEAK = "5"
_KILL_SECONDS = 5.0
_KILL_PAUSE_SECONDS = 0.002

logger = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)
#: First processes of the runs of this process, which other runs must not take for their orphans.
_roots: set[int] = set()
_roots_lock = threading.Lock()


class ProcessTree:
    """The process ``pid``, a child of this one, with its descendants, also those it left behind.

    A context manager: none of them is left at its end but the first, for its owner to wait for.
    Raises ``OSError`` where the system has no reapers.
    """

    def __init__(self, pid: int) -> None:
        self._root = pid
        with _roots_lock:
            _set_reaper(True)
            _roots.add(pid)
        self._started = _start_ticks(pid) or 0
        self._peak_kb = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        with _roots_lock:
            _roots.discard(self._root)
            _set_reaper(bool(_roots))

    def pids(self) -> list[int]:
        """Process ids of those alive or not yet reaped; parents before their children."""
        found: list[int] = []
        waiting = [self._root, *self._orphans()]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += _children(pid)
        return found

    def cpu_seconds(self) -> float:
        """CPU seconds used so far by every process alive and by those that they waited for."""
        return sum(_cpu_seconds(pid) for pid in self.pids())

    def memory_kb(self, pids: list[int]) -> float:
        """Resident memory in kB now; pages that several of the processes share count once."""
        used = _resident_kb(pids[0]) if len(pids) == 1 else sum(_proportional_kb(pid) for pid in pids)
        self._peak_kb = max(self._peak_kb, used)
        return used

    def take_peak_kb(self) -> float:
        """Peak of the resident memory in kB since the last call.

        Exact where there is one process; of several together only what the polls saw.
        """
        self.memory_kb(self.pids())
        peak = max(self._peak_kb, _peak_resident_kb(self._root))
        self.forget_peak()
        return peak

    def forget_peak(self) -> None:
        """Begin anew with the peak, as after ``take_peak_kb``."""
        self._peak_kb = 0.0
        with contextlib.suppress(OSError):  # ended, or made itself unreadable: the polled peak stands
            Path(f"/proc/{self._root}/clear_refs").write_text(_RESET_PEAK)

    def kill(self) -> None:
        """Kill every process and reap those left behind; the first is left for its owner to wait for.

        A process whose first thread ended looks dead while its other threads go on, so all are
        killed until all have really ended.
        """
        deadline = time.monotonic() + _KILL_SECONDS
        while not self._has_ended():
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in self._orphans():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > deadline:
                logger.error("processes of a fold could not be killed: %s", self.pids())
                break
            time.sleep(_KILL_PAUSE_SECONDS)

    def _has_ended(self) -> bool:
        ended = os.waitid(os.P_PID, self._root, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended is not None and not self._orphans()

    def _orphans(self) -> list[int]:
        """Children of this process that it did not start itself since the run began."""
        with _roots_lock:
            candidates = [pid for pid in _children(os.getpid()) if pid not in _roots]
        return [pid for pid in candidates if (_start_ticks(pid) or 0) >= self._started]


def _set_reaper(is_reaper: bool) -> None:
    """Adopt what descendants leave behind, or no longer: between runs, orphans are the system's to reap."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, int(is_reaper), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become the reaper of a fold's processes")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return found


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third one on; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()
    except OSError:
        return []


def _start_ticks(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    if not fields:
        return 0.0
    waited_for = (int(fields[13]) + int(fields[14])) / _CLOCK_TICKS
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) + waited_for
    except OSError:
        # It ended meanwhile; its own time has the resolution of the clock's ticks then.
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS + waited_for


def _resident_kb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KB
    except (OSError, IndexError):
        return 0.0


def _proportional_kb(pid: int) -> float:
    return _field_kb(f"/proc/{pid}/smaps_rollup", "Pss:") or _resident_kb(pid)


def _peak_resident_kb(pid: int) -> float:
    return _field_kb(f"/proc/{pid}/status", "VmHWM:")


def _field_kb(path: str, field: str) -> float:
    with contextlib.suppress(OSError):
        for line in Path(path).read_text(errors="replace").splitlines():
            if line.startswith(field):
                return float(line.split()[1])
    return 0.0
