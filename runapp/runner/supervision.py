"""Watching one run from outside: its result, its output, and every limit it must not pass."""

import contextlib
import os
import selectors
import signal
import time

from runapp.contract import SOFT_TIME_LIMIT_WORDS, Outcome
from runapp.runner.job import CANCEL_POLL_SECONDS, IsCancelled, Limits, OnOutput, nobody_reads
from runapp.runner.output_tail import OutputTail
from runapp.runner.result_stream import (
    STAGE_TAKEN,
    Failed,
    FoldDone,
    InvalidResult,
    ResultReader,
    SplitDone,
    Stage,
)
from runapp.runner.run_tree import RunTree
from runapp.runner.stage_measures import StageMeasures

Ending = Failed | FoldDone | SplitDone

_CHUNK_BYTES = 256 * 1024
_MEMORY_POLL_SECONDS = 0.05
_KB_PER_GB = 1024 * 1024
#: What a fold prints is handed on while it runs so often at most, and so much of its end.
_TELLING_SECONDS = 1.0
LIVE_OUTPUT_BYTES = 8 * 1024


class Supervision:
    """Watches a process tree until it has a result, must be stopped, or ended by itself.

    The descriptors are those of the result's socket and of the output's pipe; they are not closed here.
    """

    def __init__(
        self,
        tree: RunTree,
        *,
        pid: int,
        result_descriptor: int,
        output_descriptor: int,
        reader: ResultReader,
        limits: Limits,
        measures: StageMeasures,
        is_cancelled: IsCancelled,
        on_output: OnOutput = nobody_reads,
    ) -> None:
        self._tree = tree
        self._pid = pid
        self._result, self._output = result_descriptor, output_descriptor
        self._reader = reader
        self._limits = limits
        self._measures = measures
        self._is_cancelled = is_cancelled
        self._on_output = on_output
        self._n_bytes_told = 0
        self._tail = OutputTail(kept_bytes=limits.output_kept_bytes, max_bytes=limits.output_max_bytes)
        now = time.monotonic()
        self._deadline = now + limits.wall_seconds
        self._next_memory_poll = self._next_cancel_poll = now
        self._next_telling = now + _TELLING_SECONDS

    def watch(self) -> Ending:
        """Return how the run ended; its processes are gone then."""
        process_descriptor = os.pidfd_open(self._pid)
        try:
            with selectors.DefaultSelector() as selector:
                for descriptor in (self._result, self._output):
                    os.set_blocking(descriptor, False)
                    selector.register(descriptor, selectors.EVENT_READ)
                selector.register(process_descriptor, selectors.EVENT_READ)
                ending = self._watch(selector, process_descriptor)
        finally:
            os.close(process_descriptor)
            self._tree.kill()
        self._drain_output()
        return ending

    def printed(self) -> str:
        return self._tail.text()

    def _watch(self, selector: selectors.BaseSelector, process_descriptor: int) -> Ending:
        while True:
            ready = {key.fd for key, _ in selector.select(_MEMORY_POLL_SECONDS)}
            for descriptor in ready & {self._result, self._output}:
                if (chunk := _read(descriptor)) == b"":
                    # Closed, which is no end: only a result, a limit or the end of the process is one.
                    selector.unregister(descriptor)
                elif chunk and descriptor == self._output:
                    self._tail.feed(chunk)
                elif chunk and (ending := self._take(chunk)) is not None:
                    return ending
            if (ending := self._passed_limit()) is not None:
                return ending
            if self._tail.n_bytes != self._n_bytes_told:
                self._tell_output()
            if process_descriptor in ready:
                return self._last_words() or self._ended_without_result()

    def _tell_output(self) -> None:
        """Hand on what was printed meanwhile, unless that was done a moment ago."""
        now = time.monotonic()
        if now >= self._next_telling:
            self._next_telling = now + _TELLING_SECONDS
            self._n_bytes_told = self._tail.n_bytes
            self._on_output(self._tail.text(max_bytes=LIVE_OUTPUT_BYTES))

    def _take(self, chunk: bytes) -> Ending | None:
        try:
            for message in self._reader.feed(chunk):
                if not isinstance(message, Stage):
                    return message
                self._measures.reached(message)
                with contextlib.suppress(OSError):  # nobody waits: the end of the process tells why
                    os.write(self._result, STAGE_TAKEN)
                self._measures.resumed(message)
        except InvalidResult as error:
            return Failed(Outcome.CRASH, f"It sent something else than a result: {error.message}.")
        return None

    def _passed_limit(self) -> Failed | None:
        limits, now = self._limits, time.monotonic()
        if self._tail.overflowed:
            allowed = limits.output_max_bytes // (1024 * 1024)
            words = f"{allowed} MB, the limit of {limits.whose('output_max_bytes')}"
            return Failed(Outcome.OUTPUT_LIMIT, f"Killed for printing more than {words}.")
        if now >= self._deadline:
            words = f"killed after {limits.wall_seconds:g} s, the limit of {limits.whose('wall_seconds')}"
            return Failed(Outcome.TIMEOUT, f"{SOFT_TIME_LIMIT_WORDS}: {words}.")
        if now >= self._next_cancel_poll:
            self._next_cancel_poll = now + CANCEL_POLL_SECONDS
            if self._is_cancelled():
                return Failed(Outcome.CANCELLED, "Cancelled while it ran.")
        if now >= self._next_memory_poll:
            self._next_memory_poll = now + _MEMORY_POLL_SECONDS
            return self._passed_memory_or_processes()
        return None

    def _passed_memory_or_processes(self) -> Failed | None:
        limits, pids = self._limits, self._tree.pids()
        if len(pids) > limits.processes:
            allowed = f"{limits.processes} are allowed, the limit of {limits.whose('processes')}"
            return Failed(Outcome.CRASH, f"Killed for running {len(pids)} processes; {allowed}.")
        used_kb = self._tree.memory_kb(pids)
        if used_kb > limits.memory_kb:
            allowed = f"{_gigabytes(limits.memory_kb)} are allowed, the limit of {limits.whose('memory_kb')}"
            return Failed(Outcome.MEMORY, f"Killed: it used {_gigabytes(used_kb)} of memory; {allowed}.")
        return None

    def _last_words(self) -> Ending | None:
        """What the process wrote before it ended and what nobody read yet: at most what a socket holds."""
        self._tree.kill()
        while chunk := _read(self._result):
            if (ending := self._take(chunk)) is not None:
                return ending
        return None

    def _ended_without_result(self) -> Failed:
        status = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        code = status.si_status if status is not None else 0
        if status is None or status.si_code == os.CLD_EXITED:
            return Failed(
                Outcome.CRASH, f"The process ended by itself, with code {code} and without a result."
            )
        outcome = Outcome.TIMEOUT if code == signal.SIGXCPU else Outcome.CRASH
        return Failed(outcome, f"The process was ended by {_signal_name(code)} ({signal.strsignal(code)}).")

    def _drain_output(self) -> None:
        while chunk := _read(self._output):
            self._tail.feed(chunk)


def _read(descriptor: int) -> bytes | None:
    """What there is to read: None for nothing yet, no bytes for never again."""
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        # The process ended before it read every answer.
        return b""


def _signal_name(number: int) -> str:
    return next((known.name for known in signal.Signals if known == number), f"signal {number}")


def _gigabytes(kb: float) -> str:
    return f"{kb / _KB_PER_GB:.1f} GB" if kb >= _KB_PER_GB else f"{kb / 1024:.0f} MB"
