"""The right of one process to run a task: its mark on the shared disk, renewed while the task runs.

A task that has a mark is started by nobody, whatever the broker delivers. A lease that is no longer
renewed is ended by the master, which counts the attempt and sends the task again; a runner only helps
it to know early, where it sees that the process of a mark is gone.
"""

import dataclasses
import logging
import threading
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from runapp.exchange import Exchange
from runapp.messages import FoldMark, SplitMark
from runapp.runner.holder import is_gone, this_process

#: A mark is renewed this often within the time after which the master takes its runner for lost.
_RENEWALS_PER_LEASE = 6

logger = logging.getLogger(__name__)

MarkT = TypeVar("MarkT", FoldMark, SplitMark)


class Lease(Generic[MarkT]):
    """The lease of one task, renewed by a thread while the context lasts.

    A thread, since copying a data set or packing predictions may take longer than a lease. A context
    that is left by an error leaves the mark, for the master to find; one that is left since the
    process must end says so in the mark.

    Parameters
    ----------
    mark:
        As it is written when the lease is claimed.
    lease_seconds:
        After how long without a heartbeat the master takes the runner for lost.
    """

    def __init__(self, exchange: Exchange, mark: MarkT, *, lease_seconds: float) -> None:
        self._exchange = exchange
        self.mark: MarkT = mark
        self._renewal_seconds = lease_seconds / _RENEWALS_PER_LEASE
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._has_output = False
        #: Whether the master gave the task to another process meanwhile.
        self.lost = False

    def claim(self) -> bool:
        """Take the lease; tells whether nobody had it. Raises ``OSError`` if the disk cannot be written."""
        return self._exchange.claim_mark(self.mark)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if kind is not None and not issubclass(kind, Exception):
            self.note(ended="the runner was stopped", handed_back=True)

    def note(self, **changes: Any) -> None:
        """Change what the mark says, at once where the disk allows it and else with the next heartbeat."""
        with self._lock:
            self.mark = dataclasses.replace(self.mark, **changes)
            self._renew()

    def show_output(self, text: str) -> None:
        """Put the end of what the task has printed beside its mark, for people who look; it goes with it."""
        try:
            if not self.lost:
                self._exchange.write_output(self.mark.task_id, text)
                self._has_output = True
        except OSError as error:
            # Nobody but them needs it.
            logger.info("what task %s prints cannot be shown: %s", self.mark.task_id, error)

    def must_stop(self) -> bool:
        """Whether the task was cancelled, or the master gave it to another process."""
        try:
            return self.lost or self._exchange.is_cancelled(self.mark.task_id)
        except OSError as error:
            logger.warning("cannot see whether task %s was cancelled: %s", self.mark.task_id, error)
            return False

    def release(self) -> None:
        """Give the lease up; raises ``OSError`` if the disk cannot be written."""
        with self._lock:
            self._over.set()
            if not self._is_anothers():
                self._exchange.remove_mark(self.mark.task_id)
                # A task that printed nothing costs the disk nothing here.
                if self._has_output:
                    self._exchange.remove_output(self.mark.task_id)

    def _beat(self) -> None:
        while not self._over.wait(self._renewal_seconds):
            with self._lock:
                if not self._over.is_set():
                    self._renew()

    def _renew(self) -> None:
        try:
            if self._is_anothers():
                logger.warning("task %s was given to another process, this one stops it", self.mark.task_id)
                self.lost = True
            else:
                self._exchange.write_mark(self.mark)
        except OSError as error:
            # The task goes on: the disk may be back when its outcome is there.
            logger.warning("the mark of task %s cannot be renewed: %s", self.mark.task_id, error)

    def _is_anothers(self) -> bool:
        """Whether the master ended this lease, as it does when the heartbeats stay away."""
        current = self._exchange.read_mark(self.mark.task_id)
        return current is None or current.holder != self.mark.holder or current.attempt != self.mark.attempt


def end_if_gone(exchange: Exchange, task_id: str) -> bool:
    """Tell the master that a marked task's process is gone, if it was one of this host; whether it was.

    Called by the process to which the task was delivered again: that it holds the mark itself means
    that it gave up without a word.
    """
    mark = exchange.read_mark(task_id)
    if mark is None or mark.ended:
        return False
    if mark.holder == this_process():
        exchange.write_mark(dataclasses.replace(mark, ended="the runner gave it up", handed_back=True))
        return True
    if is_gone(mark.holder):
        exchange.write_mark(dataclasses.replace(mark, ended="its process on the runner is gone"))
        return True
    return False


def end_all_gone(
    exchange: Exchange, runner: str, *, reason: str, handed_back: bool = False
) -> tuple[int, int]:
    """End the marks of a runner whose processes are gone; returns how many these and those left are."""
    n_ended = n_left = 0
    for task_id in exchange.marked_task_ids():
        mark = exchange.read_mark(task_id)
        if mark is None or mark.runner != runner or mark.ended:
            continue
        if is_gone(mark.holder):
            exchange.write_mark(dataclasses.replace(mark, ended=reason, handed_back=handed_back))
            n_ended += 1
        else:
            n_left += 1
    return n_ended, n_left
