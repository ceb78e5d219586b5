"""What those who watch a run need to know of its processes."""

from typing import Protocol


class FirstProcess(Protocol):
    """The process that a run began with, seen by those who watch it."""

    def fileno(self) -> int:
        """A descriptor that is readable once the process has ended."""

    def return_code(self) -> int:
        """How it ended: its exit code, or minus the number of the signal that ended it."""


class RunTree(Protocol):
    """All the processes of one run."""

    def pids(self) -> list[int]:
        """Process ids of those alive or not yet reaped."""

    def cpu_seconds(self) -> float:
        """CPU seconds used so far by all of them."""

    def memory_kb(self, pids: list[int]) -> float:
        """Memory of these processes in kB now; pages that several of them share count once."""

    def take_peak_kb(self) -> float:
        """Peak of their memory in kB since the last call."""

    def forget_peak(self) -> None:
        """Begin anew with the peak, as after ``take_peak_kb``."""

    def kill(self) -> None:
        """Kill every one of them; the first is left for its parent to wait for."""
