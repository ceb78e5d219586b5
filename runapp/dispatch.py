"""The only place that sends to the broker: after commit, and never needed for the truth.

A task that cannot be sent now stays unsent in the database; the beat's sweep sends it later.
"""

import dataclasses
import logging
import uuid
from functools import cache
from typing import Any

from celery.backends.redis import RedisBackend
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from datarun.celery import app
from runapp.contract import DATA_SET_LIMITS, Queue, TaskName
from runapp.errors import DatarunError
from runapp.exchange import Exchange
from runapp.messages import INLINE_INDICES_CHARS, FoldTask, SplitTask
from runapp.models import RawData, SubmissionFold

#: How long the master waits for the broker before it goes on without.
_BROKER_SECONDS = 3.0

#: What nobody took by then is asked for again by the sweep.
_SCORING_SECONDS = 60

logger = logging.getLogger(__name__)

#: One more try at once: the connection that is kept open may be one to a broker that was restarted since.
_RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def new_task_id() -> str:
    return str(uuid.uuid4())


class ResultsAway(DatarunError):
    """The place of Celery's results does not answer."""

    code = "results_away"


@cache
def exchange() -> Exchange:
    """What the master shares with its runners."""
    exchange = Exchange(settings.ENVIRONMENT.exchange_folder)
    exchange.make()
    return exchange


def _send(name: TaskName, *messages: dict[str, Any], task_id: str, queue: str, **options: Any) -> bool:
    """Send one task; tells whether the broker has it."""
    try:
        app.send_task(
            name.value,
            args=[*messages],
            task_id=task_id,
            queue=queue,
            retry=True,
            retry_policy=_RETRY_ONCE,
            **options,
        )
    except (OperationalError, OSError) as error:
        logger.warning("task %s is not sent, beat will send it: %s", task_id, error)
        return False
    return True


def send_fold(fold: SubmissionFold) -> bool:
    """Send the task that trains and tests a fold whose data set is split; tells whether it was sent."""
    submission = fold.databoard_s
    assert submission is not None and submission.raw_data is not None  # noqa: S101 - kept by the services
    raw_data = submission.raw_data
    inline = len(fold.train_is) <= INLINE_INDICES_CHARS
    try:
        if not inline:
            exchange().write_indices(fold.task_id, fold.train_is)
    except OSError as error:
        logger.warning("task %s is not sent, the shared disk cannot be written: %s", fold.task_id, error)
        return False
    task = FoldTask(
        fold_id=fold.pk,
        task_id=fold.task_id,
        attempt=fold.attempts + 1,
        data_folder=raw_data.split_folder,
        custom=raw_data.custom,
        workflow_elements=raw_data.elements,
        target_column=raw_data.target_column,
        n_train_rows=raw_data.n_train_rows or 0,
        n_test_rows=raw_data.n_test_rows or 0,
        submission_folder=submission.files_path or "",
        submission_hash=submission.files_hash,
        train_is=fold.train_is if inline else None,
        **{name: getattr(raw_data, name) for name in DATA_SET_LIMITS},
    )
    if not _send(TaskName.FOLD, task.to_message(), task_id=fold.task_id, queue=fold.priority):
        return False
    return SubmissionFold.objects.mark_sent(fold.task_id)


def send_split(raw_data: RawData) -> bool:
    """Send the task that splits ``raw_data`` into train and test; tells whether it was sent."""
    task = SplitTask(
        raw_data_id=raw_data.pk,
        task_id=raw_data.split_task_id,
        attempt=raw_data.split_attempts + 1,
        custom=raw_data.custom,
        source_folder=raw_data.source_folder,
        split_folder=raw_data.split_folder,
        data_file=None if raw_data.custom else f"{raw_data.name}.csv",
        target_column=raw_data.target_column,
        workflow_elements=raw_data.elements,
        held_out_test=raw_data.held_out_test,
        random_state=raw_data.random_state,
    )
    if not _send(TaskName.SPLIT, task.to_message(), task_id=task.task_id, queue=Queue.SPLIT.value):
        return False
    RawData.objects.mark_split_sent(task.task_id)
    return True


def send_scoring() -> bool:
    """Have the master's own worker make scores; tells whether it was sent. The sweep asks again."""
    return _send(TaskName.SCORE, task_id=new_task_id(), queue=Queue.MASTER.value, expires=_SCORING_SECONDS)


@dataclasses.dataclass(frozen=True)
class QueueDepth:
    """Tasks that wait in a queue, and the workers that take from it (0 where the broker does not tell)."""

    n_ready: int
    n_consumers: int


def queue_depth(queue: str) -> QueueDepth | None:
    """How full a queue of the broker is; None if the broker does not say.

    A queue that the broker does not have is empty.
    """
    connection: Any = app.connection_for_write(connect_timeout=_BROKER_SECONDS)
    try:
        with connection:
            found = connection.default_channel.queue_declare(queue=queue, passive=True)
            return QueueDepth(found.message_count, found.consumer_count)
    except connection.channel_errors:
        return QueueDepth(0, 0)
    except (OperationalError, OSError, *connection.connection_errors) as error:
        logger.warning("the broker does not say how full the queue %s is: %s", queue, error)
        return None


def results_answer() -> str:
    """Ask the place of Celery's results whether it is there; what it is.

    Raises
    ------
    ResultsAway
        If it does not answer.
    """
    if not isinstance(app.backend, RedisBackend):
        return "files"
    try:
        app.backend.client.ping()
    except (RedisError, OSError) as error:
        raise ResultsAway(f"Redis does not answer: {error}") from None
    return "Redis, answers"


def cancel(task_id: str) -> None:
    """Tell every runner that a task must not run, or must stop. Its result is refused in any case."""
    try:
        exchange().cancel(task_id)
    except OSError as error:
        logger.warning("task %s may go on running, the shared disk cannot be written: %s", task_id, error)
