"""The processes of one fold, seen through the /proc of their own process namespace."""

import os
import signal
from contextlib import suppress

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_KEEPER = 1
#: Written to clear_refs, starts the peak of a process's resident memory anew (proc_pid_clear_refs(5)).
_RESET_PEAK = b"5"


class NamespaceTree:
    """What the fold's processes use together, and their common end.

    Pages inherited from the server and not written since belong to the server. Memory is therefore the
    larger of two lower bounds of the tree's own pages: those private to one process, and all anonymous
    and shared pages, each counted once, less all that was inherited.
    """

    def __init__(self, proc: int, keeper_pid: int) -> None:
        """
        Parameters
        ----------
        proc:
            Open descriptor of the namespace's /proc.
        keeper_pid:
            The namespace's first process, as the caller sees it; when it is killed, all are.
        """
        self._proc = proc
        self._keeper_pid = keeper_pid
        self._cpu_of_gone = 0.0
        self._last_cpu: dict[int, tuple[int, float]] = {}
        self._peak_kb = 0.0
        self._root = self.pids()[0]
        self._inherited_kb = self._memory(self._root).get("Shared_Dirty", 0)

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
        private = counted_once = 0
        for pid in pids:
            fields = self._memory(pid)
            private += fields.get("Private_Dirty", 0)
            counted_once += fields.get("Pss_Anon", 0) + fields.get("Pss_Shmem", 0)
        own = float(max(private, counted_once - self._inherited_kb))
        self._peak_kb = max(self._peak_kb, own)
        return own

    def take_peak_kb(self) -> float:
        """Peak of own memory in kB since the last call: exact for the first process, as polled for others."""
        freed = self._fields(self._root, "status")
        since_peak = freed.get("VmHWM", 0) - freed.get("VmRSS", 0)
        peak = max(self.memory_kb(self.pids()) + max(since_peak, 0), self._peak_kb)
        self._peak_kb = 0.0
        with suppress(OSError):
            descriptor = os.open(f"{self._root}/clear_refs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._proc)
            os.write(descriptor, _RESET_PEAK)
            os.close(descriptor)
        return peak

    def kill(self) -> None:
        """Kill every process; the first one is left for its parent to wait for."""
        with suppress(ProcessLookupError):
            os.kill(self._keeper_pid, signal.SIGKILL)

    def _memory(self, pid: int) -> dict[str, int]:
        try:
            return self._fields(pid, "smaps_rollup")
        except PermissionError:
            # A process that managed to hide its pages is charged for every one that it may have.
            fields = self._fields(pid, "status")
            return {"Private_Dirty": fields.get("RssAnon", 0) + fields.get("RssShmem", 0)}

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
