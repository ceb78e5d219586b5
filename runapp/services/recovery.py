"""What beat has the master do: find what was lost on the way, and send it again.

The database knows what was asked for, the marks on the shared disk what runs, the broker only how
many tasks it still has. A task is lost when its mark is no longer renewed, or when the broker has
fewer tasks than the database has queued. Everything here may run twice, or at the same time, without
harm. Its cost is that of what runs and waits, not of all folds.
"""

import datetime
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from runapp import dispatch
from runapp.contract import RUNNER_QUEUES, Queue
from runapp.messages import FoldMark, Mark
from runapp.models import RawData, SubmissionFold
from runapp.services.folds import release_folds
from runapp.services.results import NONSENSE, save_outcomes

logger = logging.getLogger(__name__)


def recover() -> None:
    """Save what there is, follow what runs, send again what was lost, and send what was not sent."""
    watch()
    save_outcomes()
    follow_marks()
    find_unmarked()
    for queue in RUNNER_QUEUES:
        resend_what_the_broker_lost(queue)
    for raw_data in RawData.objects.splits_to_send():
        if not dispatch.send_split(raw_data):
            break
    release_folds()
    ask_for_scores()


def ask_for_scores() -> None:
    """Have the master's worker score what is finished and describe what is split, if there is anything."""
    if RawData.objects.to_describe().exists() or SubmissionFold.objects.to_score().exists():
        dispatch.send_scoring()


def watch() -> tuple[float, float]:
    """Note that the master looks; the time by the disk's clock, and since when it has been looking."""
    return dispatch.exchange().watch(gap_seconds=settings.ENVIRONMENT.lease_seconds)


def follow_marks() -> int:
    """Write how far running tasks are, and end the leases of those that are lost; how many these were.

    A lease that was not renewed is ended only after the master has watched for the whole time: where
    the disk was gone, no runner could renew its own.
    """
    exchange, lease_seconds = dispatch.exchange(), settings.ENVIRONMENT.lease_seconds
    now, since = watch()
    n_lost = 0
    for task_id in exchange.marked_task_ids():
        try:
            found = exchange.find_mark(task_id)
            if found is None:
                continue  # it ended meanwhile
            mark, renewed_at = found
            silent_seconds = now - max(renewed_at, since)
            if silent_seconds > lease_seconds or (mark is not None and mark.ended):
                n_lost += _end_lease(task_id, renewed_at, silent_seconds)
            elif mark is not None:
                _note_progress(mark)
        except (OSError, *NONSENSE) as error:
            logger.warning("the mark of task %s cannot be used: %s", task_id, error)
    return n_lost


@transaction.atomic
def _note_progress(mark: Mark) -> None:
    if isinstance(mark, FoldMark):
        SubmissionFold.objects.note_progress(mark)
    else:
        RawData.objects.note_split_progress(mark)


def find_unmarked() -> int:
    """Have those sent again that were started and have neither mark nor outcome; how many these were."""
    exchange = dispatch.exchange()
    marked = set(exchange.marked_task_ids())
    folds = SubmissionFold.objects.started().values_list("task_id", "attempts")
    splits = RawData.objects.started_splits().values_list("split_task_id", "split_attempts")
    n_lost = 0
    for started, lost in (
        (folds, SubmissionFold.objects.start_was_lost),
        (splits, RawData.objects.split_start_was_lost),
    ):
        for task_id, attempt in started:
            # In this order: a runner removes a mark after it has written the outcome.
            if task_id not in marked and not exchange.has_mark(task_id) and not exchange.has_outcome(task_id):
                story = f"Start {attempt} was lost: it left neither a mark nor an outcome."
                n_lost += lost(task_id, attempt=attempt, story=story)
    return n_lost


@transaction.atomic
def _end_lease(task_id: str, renewed_at: float, silent_seconds: float) -> bool:
    """End a lease, unless another master was quicker; tells whether a start of its task was lost."""
    _lock(task_id)
    exchange = dispatch.exchange()
    found = exchange.find_mark(task_id)
    if found is None or found[1] != renewed_at:
        return False  # renewed meanwhile, or ended by another
    changed = found[0] is not None and _start_was_lost(found[0], silent_seconds)
    exchange.remove_mark(task_id)
    exchange.remove_output(task_id)
    return changed


def _lock(task_id: str) -> None:
    """Keep other masters from ending the same lease; SQLite has only one writer anyway."""
    if connection.features.has_select_for_update:
        for model, field in ((SubmissionFold, "task_id"), (RawData, "split_task_id")):
            list(model._default_manager.select_for_update().filter(**{field: task_id}).values_list("pk"))


def _start_was_lost(mark: Mark, silent_seconds: float) -> bool:
    """Have a task sent again whose start came to nothing."""
    is_fold = isinstance(mark, FoldMark)
    folds, data = SubmissionFold.objects, RawData.objects
    reason = mark.ended or f"no sign of life for {silent_seconds:.0f} s"
    if mark.handed_back:
        logger.info("task %s was handed back by %s: %s", mark.task_id, mark.runner, reason)
        return folds.send_again(mark.task_id) if is_fold else data.send_split_again(mark.task_id)
    logger.warning("start %d of task %s on %s was lost: %s", mark.attempt, mark.task_id, mark.runner, reason)
    story = f"Start {mark.attempt} on {mark.runner[:200]} was lost: {reason}."
    lost = folds.start_was_lost if is_fold else data.split_start_was_lost
    return lost(mark.task_id, attempt=mark.attempt, story=story)


def resend_what_the_broker_lost(queue: Queue) -> int:
    """Have those of a queue sent again, oldest first, that the broker no longer has; how many these are.

    Those sent within the last lease are left out: they may be on their way to a runner's mark.
    """
    sent_before = timezone.now() - datetime.timedelta(seconds=settings.ENVIRONMENT.lease_seconds)
    waiting: QuerySet[Any]
    send_again: Callable[[str], bool]
    if queue is Queue.SPLIT:
        waiting, send_again = RawData.objects.queued_splits(), RawData.objects.send_split_again
        sent, task = "split_sent_at", "split_task_id"
    else:
        waiting, send_again = SubmissionFold.objects.queued(), SubmissionFold.objects.send_again
        waiting = waiting.filter(priority=queue.value)
        sent, task = "sent_at", "task_id"
    overdue = waiting.filter(**{f"{sent}__lt": sent_before}).order_by(sent)
    depth = dispatch.queue_depth(queue) if overdue.exists() else None
    if depth is None:
        return 0
    n_missing = waiting.count() - depth.n_ready
    task_ids = list(overdue.values_list(task, flat=True)[: max(0, n_missing)])
    n_again = sum(_send_again(send_again, task_id) for task_id in task_ids)
    if n_again:
        logger.warning("the broker lost %d tasks of the queue %s; they are sent again", n_again, queue)
    return n_again


@transaction.atomic
def _send_again(send_again: Callable[[str], bool], task_id: str) -> bool:
    """Have a task sent again that the database holds for unfinished; tells whether it still does.

    A database that was restored may have forgotten a result. The note that copies of its task must not
    run is of no use then. Whoever cancels the task waits for this row, and leaves a new note.
    """
    is_unfinished = send_again(task_id)
    if is_unfinished:
        dispatch.exchange().allow(task_id)
    return is_unfinished
