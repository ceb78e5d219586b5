"""Celery's doors to the runner: what a worker of the queues L, H and celery runs."""

import logging
import socket
import time
from typing import Any, NoReturn

from celery import Task, signals
from celery.exceptions import Reject

from datarun.celery import app, environment
from runapp.contract import RUNNER_QUEUES, TaskName
from runapp.exchange import Exchange
from runapp.messages import FoldTask, SplitTask
from runapp.runner import launch
from runapp.runner.isolation.level import BelowMinimum
from runapp.runner.job import Limits
from runapp.runner.limits import DEFAULT_FOLD_SECONDS, DEFAULT_SPLIT_SECONDS, run_limits
from runapp.runner.ring import ring_master
from runapp.runner.runner import Runner

#: A runner that cannot write to the shared disk waits so long before it hands a task back.
_HAND_BACK_PAUSE_SECONDS = 5.0

logger = logging.getLogger(__name__)


@signals.celeryd_after_setup.connect
def _keep_time_limits(instance: Any, **_: object) -> None:
    """Limits of the worker's command line are known to its main process only: pool children fork later."""
    app.conf.task_soft_time_limit = instance.soft_time_limit
    app.conf.task_time_limit = instance.time_limit


@signals.celeryd_after_setup.connect
def _refuse_folds_without_isolation(instance: Any, **_: object) -> None:
    """Measure the isolation before pool children fork, and take no folds or splits where it is too weak."""
    if reason := launch.refusal():
        logger.error("this runner takes no folds. %s", reason)
        instance.app.amqp.queues.deselect([queue.value for queue in RUNNER_QUEUES])


@app.task(name=TaskName.FOLD.value, bind=True)
def train_test_submission_fold(self: "Task[Any, Any]", message: dict[str, Any]) -> dict[str, str | None]:
    """Train and test one fold. Its outcome is on the shared disk when this returns.

    Parameters
    ----------
    message:
        A ``FoldTask``.

    Returns
    -------
    dict
        ``state`` and ``outcome`` of the fold; both None if it was cancelled or is already done.
    """
    task = FoldTask.from_message(message)
    limits = _limits(self, DEFAULT_FOLD_SECONDS)
    try:
        outcome = _runner(self).run_fold(task, limits)
    except (OSError, BelowMinimum) as error:
        _hand_back(error)
    if outcome is None:
        return {"state": None, "outcome": None}
    return {"state": outcome.state.value, "outcome": outcome.outcome.value}


@app.task(name=TaskName.SPLIT.value, bind=True)
def split_train_test(self: "Task[Any, Any]", message: dict[str, Any]) -> dict[str, bool | None]:
    """Split a data set into train and test. The outcome is on the shared disk when this returns.

    Parameters
    ----------
    message:
        A ``SplitTask``.

    Returns
    -------
    dict
        ``ok``: whether the split is there; None if it was cancelled or is already done.
    """
    task = SplitTask.from_message(message)
    limits = _limits(self, DEFAULT_SPLIT_SECONDS)
    try:
        outcome = _runner(self).run_split(task, limits)
    except (OSError, BelowMinimum) as error:
        _hand_back(error)
    if outcome is None:
        return {"ok": None}
    return {"ok": outcome.ok}


def _runner(task: "Task[Any, Any]") -> Runner:
    return Runner(
        name=task.request.hostname or socket.gethostname(),
        exchange=Exchange(environment.exchange_folder),
        dir_data=environment.dir_data,
        dir_submission=environment.dir_submission,
        launcher=launch.launcher(),
        lease_seconds=environment.lease_seconds,
        ring=ring_master,
    )


def _limits(task: "Task[Any, Any]", default_seconds: float) -> Limits:
    hard, soft = task.request.timelimit or (None, None)
    return run_limits(
        environment,
        soft=soft or app.conf.task_soft_time_limit,
        hard=hard or app.conf.task_time_limit,
        default_seconds=default_seconds,
    )


def _hand_back(error: Exception) -> NoReturn:
    """Give the task back to the queue, for this runner later or for another one now."""
    logger.error("this runner cannot take the task, which goes back to its queue: %s", error)
    time.sleep(_HAND_BACK_PAUSE_SECONDS)
    raise Reject(error, requeue=True) from error
