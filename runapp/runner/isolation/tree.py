"""The processes of one fold, seen through the /proc of their own process namespace."""

import os
import signal
import time
from contextlib import suppress

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_KEEPER = 1
#: Written to clear_refs, starts the peak of a process's resident memory anew (proc_pid_clear_refs(5)).
_RESET_PEAK = b"5"
#: Counting the pages that processes share takes long: at most this part of the time is spent on it.
_COUNTING_PART = 0.1


class NamespaceTree:
    """What the fold's processes use together, and their common end.

    Pages inherited from the server are the server's. The memory of a single process is what the kernel's own
    counters say it has beyond them. Where there are several, these counters count a page once for each that
    shares it; so they serve as an upper bound, and pages are looked at where that bound says something new.
    """

    def __init__(self, proc: int, keeper_pid: int, allowed_kb: int) -> None:
        """
        Parameters
        ----------
        proc:
            Open descriptor of the namespace's /proc.
        keeper_pid:
            The namespace's first process, as the caller sees it; when it is killed, all are.
        allowed_kb:
            Memory above which a fold is killed: what is reported above it was counted exactly.
        """
        self._proc = proc
        self._keeper_pid = keeper_pid
        self._allowed_kb = allowed_kb
        self._cpu_of_gone = 0.0
        self._last_cpu: dict[int, tuple[int, float]] = {}
        self._peak_kb = 0.0
        self._counted_kb = 0.0
        #: Inherited pages that the first process wrote to and so has for itself, as last counted.
        self._copied_kb = 0.0
        self._next_counting = 0.0
        self._root = self.pids()[0]
        self._inherited_kb = self._resident_kb(self._root)

    def pids(self) -> list[int]:
        """Process ids within the namespace, without its keeper; the fold's first process first."""
        return sorted(
            int(name) for name in os.listdir(self._proc) if name.isdecimal() and int(name) != _KEEPER
        )

    def cpu_seconds(self) -> float:
        """CPU seconds of the living, of the dead whom a living parent waited for, of orphans as last seen."""
        now: dict[int, tuple[int, float]] = {}
        for pid in self.pids():
            fields = self._read(pid, "stat").rpartition(")")[2].split()
            if fields:
                now[pid] = int(fields[1]), sum(int(ticks) for ticks in fields[11:15]) / _TICKS_PER_SECOND
        for pid, (parent, seconds) in self._last_cpu.items():
            if pid not in now and parent not in now:
                self._cpu_of_gone += seconds
        self._last_cpu = now
        return self._cpu_of_gone + sum(seconds for _, seconds in now.values())

    def memory_kb(self, pids: list[int]) -> float:
        """Own memory of these processes in kB now."""
        grown = max(sum(map(self._resident_kb, pids)) - self._inherited_kb, 0.0)
        if len(pids) == 1:
            own = grown + self._copied_kb
        elif grown <= self._allowed_kb and (grown <= self._peak_kb or time.monotonic() < self._next_counting):
            own = min(grown, self._counted_kb)
        else:
            own = self._count_pages(pids)
        self._peak_kb = max(self._peak_kb, own)
        return own

    def take_peak_kb(self) -> float:
        """Peak of own memory in kB since the last call: exact for the first process, as polled for others."""
        pids = self.pids()
        if len(pids) == 1 and not self._copied_kb:
            own = self._count_pages(pids)
            self._copied_kb = max(own + self._inherited_kb - self._resident_kb(self._root), 0.0)
        else:
            own = self.memory_kb(pids)
        root = self._fields(self._root, "status")
        freed_since_peak = root.get("VmHWM", 0) - root.get("VmRSS", 0)
        peak = max(own + max(freed_since_peak, 0), self._peak_kb)
        self.forget_peak()
        return peak

    def forget_peak(self) -> None:
        """Begin anew with the peak, as after ``take_peak_kb``."""
        self._peak_kb = 0.0
        with suppress(OSError):
            descriptor = os.open(f"{self._root}/clear_refs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._proc)
            os.write(descriptor, _RESET_PEAK)
            os.close(descriptor)

    def kill(self) -> None:
        """Kill every process; the first one is left for its parent to wait for."""
        with suppress(ProcessLookupError):
            os.kill(self._keeper_pid, signal.SIGKILL)

    def _resident_kb(self, pid: int) -> float:
        """Anonymous and shared memory of a process, which it cannot hide; none for one that is gone."""
        fields = self._fields(pid, "status")
        return fields.get("RssAnon", 0) + fields.get("RssShmem", 0)

    def _count_pages(self, pids: list[int]) -> float:
        """The larger of two lower bounds: pages of one process alone, and all once less the server's."""
        started = time.monotonic()
        alone = once = 0.0
        for pid in pids:
            try:
                fields = self._fields(pid, "smaps_rollup")
            except PermissionError:
                # A process that managed to hide its pages is charged for every one that it may have.
                alone += self._resident_kb(pid)
                continue
            alone += fields.get("Private_Dirty", 0)
            once += fields.get("Pss_Anon", 0) + fields.get("Pss_Shmem", 0)
        self._counted_kb = max(alone, once - self._inherited_kb)
        now = time.monotonic()
        self._next_counting = now + (now - started) / _COUNTING_PART
        return self._counted_kb

    def _fields(self, pid: int, file: str) -> dict[str, int]:
        """The lines ``name: number kB`` of a file of /proc; none for a process that is gone."""
        pairs = (line.partition(":") for line in self._read(pid, file).splitlines())
        return {name: int(value.split()[0]) for name, _, value in pairs if value.endswith(" kB")}

    def _read(self, pid: int, file: str) -> str:
        try:
            descriptor = os.open(f"{pid}/{file}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
            with open(descriptor, errors="replace") as stream:
                return stream.read()
        except (FileNotFoundError, ProcessLookupError):
            return ""
