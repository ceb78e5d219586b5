"""A runner's worker beyond its tasks: what it tells of lost and stopped folds, and when it takes none.

All of this runs in the worker's main process, never in the pool children that run folds.
"""

import atexit
import dataclasses
import logging
import os
import signal
import threading
import time
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals

from datarun.celery import app, environment
from runapp.contract import TaskName
from runapp.exchange import Exchange
from runapp.runner.gate import GateStep
from runapp.runner.lease import end_all_gone
from runapp.runner.ring import ring_master

#: How long the end of this worker waits for its pool children to be gone.
_CHILDREN_SECONDS = 3.0
_PAUSE_SECONDS = 0.05

logger = logging.getLogger(__name__)

app.steps["consumer"].add(GateStep)


def _exchange() -> Exchange:
    return Exchange(environment.exchange_folder)


@signals.worker_ready.connect
def _tell_what_an_earlier_worker_left(sender: Any, **_: object) -> None:
    """Folds of a worker of this name that was killed need not wait for the end of their leases."""
    _end_marks(sender.hostname, reason="its runner was killed", handed_back=False)
    started_by = os.getpid()

    def hand_back() -> None:
        if os.getpid() == started_by:
            _hand_back_what_is_left(sender.hostname)

    atexit.register(hand_back)


@signals.task_failure.connect
def _tell_of_a_lost_process(
    task_id: str | None = None, exception: BaseException | None = None, **_: object
) -> None:
    """A pool child that was killed leaves its fold's mark: nobody else can say so at once."""
    if task_id is None or not isinstance(exception, WorkerLostError | TimeLimitExceeded):
        return
    try:
        mark = _exchange().read_mark(task_id)
        if mark is not None and not mark.ended:
            _exchange().write_mark(dataclasses.replace(mark, ended=f"its process was lost: {exception}"))
    except OSError as error:
        logger.warning("the loss of task %s cannot be written, its lease will end: %s", task_id, error)
        return
    ring_master(TaskName.RECOVER)


@signals.worker_shutting_down.connect
def _bound_the_warm_shutdown(how: str, **_: object) -> None:
    """Running folds are given the stop time to finish, then they are handed back."""
    if how == "Warm":
        timer = threading.Timer(environment.stop_seconds, os.kill, (os.getpid(), signal.SIGQUIT))
        timer.daemon = True
        timer.start()


def _hand_back_what_is_left(runner: str) -> None:
    """What this worker's children could not finish before its end is for others to run now."""
    deadline = time.monotonic() + _CHILDREN_SECONDS
    while (
        _end_marks(runner, reason="its runner was stopped", handed_back=True) and time.monotonic() < deadline
    ):
        time.sleep(_PAUSE_SECONDS)


def _end_marks(runner: str, *, reason: str, handed_back: bool) -> int:
    try:
        n_ended, n_left = end_all_gone(_exchange(), runner, reason=reason, handed_back=handed_back)
    except OSError as error:
        logger.warning("marks of this runner cannot be read, their leases will end: %s", error)
        return 0
    if n_ended:
        ring_master(TaskName.RECOVER)
    return n_left
