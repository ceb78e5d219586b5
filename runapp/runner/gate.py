"""The gate of a runner: it takes tasks only while it could deliver what becomes of them.

A runner that is drained, or whose shared disk is gone, full or does not answer, stops taking from its
queues, says why, and starts again by itself. Tasks stay in their queues meanwhile.
"""

import logging
import os
import socket
import threading
import time
from typing import Any

from celery import bootsteps
from celery.worker import state

from datarun.celery import app, environment
from runapp.exchange import Exchange
from runapp.messages import RunnerMark
from runapp.runner import launch
from runapp.runner.versions import versions

#: How often a runner looks at the disk and says how it is.
PROBE_SECONDS = 2.0
#: A disk that takes longer than this to take a small file does not answer.
_SILENCE_SECONDS = 15.0
_WATCH_SECONDS = 0.5
_MEGABYTE = 1024 * 1024

logger = logging.getLogger(__name__)


class DiskProbe:
    """Writes a runner's mark to the shared disk every few seconds, in a thread of its own that may hang."""

    def __init__(self, exchange: Exchange, *, runner: str, queues: tuple[str, ...], places: int) -> None:
        self._exchange = exchange
        self._host = socket.gethostname()
        measured = launch.measured()
        self._mark: dict[str, Any] = {
            "runner": runner, "host": self._host, "queues": queues, "places": places,
            "isolation": measured.level.value, "isolation_reason": measured.reason, "versions": versions(),
        }  # fmt: skip
        self._min_free_bytes = environment.min_free_bytes
        self._refusal = ""
        self._answered_at = time.monotonic()

    def run(self, over: threading.Event) -> None:
        """Probe until ``over``."""
        while not over.is_set():
            self._refusal = self._probe()
            self._answered_at = time.monotonic()
            over.wait(PROBE_SECONDS)

    def refusal(self) -> str:
        """Why this runner must not take tasks now; empty if it may."""
        silent_seconds = time.monotonic() - self._answered_at
        if silent_seconds > _SILENCE_SECONDS:
            return f"the shared disk has not answered for {silent_seconds:.0f} s"
        return self._refusal

    def _probe(self) -> str:
        try:
            refusal = self._reason()
            self._exchange.write_runner(
                RunnerMark(**self._mark, busy=len(state.active_requests), refuses=refusal, clock=time.time())
            )
        except OSError as error:
            return f"the shared disk cannot be used: {error}"
        return refusal

    def _reason(self) -> str:
        if reason := launch.refusal():
            return reason
        if self._exchange.is_drained(self._host):
            return f"{self._host} is drained"
        disk = os.statvfs(self._exchange.folder)
        free_bytes = disk.f_bavail * disk.f_frsize
        if free_bytes < self._min_free_bytes:
            free_mb, least_mb = free_bytes // _MEGABYTE, self._min_free_bytes // _MEGABYTE
            return f"the shared disk has {free_mb} MB left, less than DR_MIN_FREE_MB={least_mb}"
        return ""


class GateStep(bootsteps.StartStopStep):
    """The part of a worker's consumer that opens and closes the gate."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._over = threading.Event()
        #: What the worker takes while the gate is open, and whether it is closed.
        self._queues: tuple[str, ...] | None = None
        self._is_closed = False

    def start(self, consumer: Any) -> None:
        """Start watching; called again after each loss of the broker."""
        self._over = threading.Event()
        if self._queues is None:
            self._queues = tuple(app.amqp.queues.consume_from)
        probe = DiskProbe(
            Exchange(environment.exchange_folder),
            runner=consumer.hostname,
            queues=self._queues,
            places=consumer.pool.num_processes,
        )
        for target, arguments in ((probe.run, (self._over,)), (self._watch, (consumer, probe, self._over))):
            threading.Thread(target=target, args=arguments, name="gate", daemon=True).start()

    def stop(self, consumer: Any) -> None:
        del consumer
        self._over.set()

    def _watch(self, consumer: Any, probe: DiskProbe, over: threading.Event) -> None:
        while not over.wait(_WATCH_SECONDS):
            refusal = probe.refusal()
            if bool(refusal) != self._is_closed:
                # The consumer belongs to the worker's main loop.
                consumer.call_soon(self._move, consumer, refusal, over)

    def _move(self, consumer: Any, refusal: str, over: threading.Event) -> None:
        if over.is_set() or bool(refusal) == self._is_closed:
            return
        self._is_closed = bool(refusal)
        if refusal:
            logger.error("this runner takes no tasks: %s", refusal)
        else:
            logger.warning("this runner takes tasks again")
        for queue in self._queues or ():
            if refusal:
                consumer.cancel_task_queue(queue)
            else:
                consumer.add_task_queue(queue)
