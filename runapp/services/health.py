"""Looks at what datarun needs: one answer each, with what to do where it is not well."""

import dataclasses
import shutil
import socket
import time
from collections.abc import Callable, Iterator

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from runapp import dispatch
from runapp.contract import Queue
from runapp.errors import DatarunError
from runapp.services.runners import runners as all_runners

#: The doctor wants so many times the room below which runners take no tasks.
_ROOM = 5
#: Clocks that differ by more make times in answers and logs misleading.
_CLOCK_SECONDS = 5.0
#: The master's worker may be busy saving for so many periods before that is a fault.
_MISSED_PERIODS = 6


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a look at one thing found; ``remedy`` is empty where all is well."""

    name: str
    detail: str
    remedy: str = ""

    @property
    def is_well(self) -> bool:
        return not self.remedy


def database() -> Finding:
    """The database answers, and has all tables."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Finding("database", _one_line(error), "start the database, or correct DR_DATABASE_*")
    if missing:
        return Finding("database", f"{len(missing)} migrations are missing", "run manage.py migrate")
    return Finding("database", f"{connection.vendor}, all migrations applied")


def broker() -> Finding:
    """The broker answers."""
    depth = dispatch.queue_depth(Queue.MASTER)
    if depth is None:
        remedy = "start RabbitMQ, or correct IP_MASTER, RMQ_VHOST and DR_BROKER_*; folds wait meanwhile"
        return Finding("broker", "does not answer", remedy)
    return Finding("broker", f"{settings.ENVIRONMENT.broker_kind}, answers")


def results() -> Finding:
    """The place of Celery's results answers."""
    try:
        return Finding("results", dispatch.results_answer())
    except DatarunError as error:
        return Finding("results", error.message, "start Redis, or correct DR_REDIS_PORT; no fold needs it")


def disk() -> Finding:
    """The shared disk takes files from this machine, and has room."""
    exchange = dispatch.exchange()
    try:
        exchange.now()
        free_bytes = shutil.disk_usage(exchange.folder).free
    except OSError as error:
        return Finding(
            "disk", _one_line(error), f"mount the shared disk at {settings.ENVIRONMENT.dir_submission}"
        )
    detail = f"{free_bytes / 2**30:.1f} GB free"
    if free_bytes < _ROOM * settings.ENVIRONMENT.min_free_bytes:
        return Finding(
            "disk", detail, "make room on the shared disk; python manage.py clean removes what is unused"
        )
    return Finding("disk", detail)


def beat() -> Finding:
    """Beat asks, and the master's worker does."""
    try:
        watched_at, now = dispatch.exchange().watched_at(), dispatch.exchange().now()
    except OSError as error:
        return Finding("beat", _one_line(error), "see disk")
    remedy = "start celery beat, and a worker of the queue master_periodic"
    if watched_at is None:
        return Finding("beat", "the master's worker was never asked to look", remedy)
    detail = f"the master's worker looked {now - watched_at:.0f} s ago"
    is_late = now - watched_at > _MISSED_PERIODS * settings.ENVIRONMENT.recover_seconds
    return Finding("beat", detail, remedy if is_late else "")


def runners() -> Iterator[Finding]:
    """Each runner sees the disk, takes tasks, and has the right time."""
    seen = all_runners()
    if not any(runner.is_alive for runner in seen):
        yield Finding("runners", "there is none", "start one: celery -A datarun worker -Q L,H,celery")
    for runner in seen:
        mark, name = runner.mark, f"runner {runner.mark.runner}"
        if not runner.is_alive:
            remedy = f"start it, or, if it is gone for good, run manage.py forget {mark.host}"
            yield Finding(name, f"silent for {runner.silent_seconds:.0f} s", remedy)
        elif mark.refuses:
            remedy = f"manage.py resume {mark.host}" if "drained" in mark.refuses else "see its shared disk"
            yield Finding(name, f"takes no tasks: {mark.refuses}", remedy)
        elif abs(runner.clock_error_seconds) > _CLOCK_SECONDS:
            detail = f"its clock is {runner.clock_error_seconds:+.0f} s off that of the shared disk"
            yield Finding(name, detail, "synchronise the clocks (ntp) of runner and disk")
        else:
            yield Finding(name, f"{mark.busy} of {mark.places} places busy, takes {' '.join(mark.queues)}")


def clock() -> Finding:
    """This machine's clock is that of the shared disk."""
    try:
        error_seconds = time.time() - dispatch.exchange().now()
    except OSError as error:
        return Finding("clock", _one_line(error), "see disk")
    detail = f"{error_seconds:+.1f} s off that of the shared disk"
    if abs(error_seconds) > _CLOCK_SECONDS:
        return Finding(
            "clock", detail, f"synchronise the clocks (ntp) of {socket.gethostname()} and the disk"
        )
    return Finding("clock", detail)


def queues() -> Iterator[Finding]:
    """Each queue has a worker that takes from it."""
    taken = {queue for runner in all_runners() if runner.is_alive for queue in runner.mark.queues}
    for queue in Queue:
        name = f"queue {queue.value}"
        depth = dispatch.queue_depth(queue)
        if depth is None:
            yield Finding(name, "the broker does not answer", "see broker")
            continue
        # Redis and files do not tell who takes; of the master's queue beat's last run does.
        is_taken = depth.n_consumers > 0 or queue.value in taken or queue is Queue.MASTER
        remedy = "" if is_taken else f"start a worker with -Q {queue.value}"
        yield Finding(name, f"{depth.n_ready} waiting, {'' if is_taken else 'no '}worker", remedy)


#: What the master cannot serve without.
READINESS: tuple[Callable[[], Finding], ...] = (database, broker, disk)


def all_findings() -> Iterator[Finding]:
    """Everything, in the order in which one thing needs another."""
    for look in (database, broker, results, disk, clock, beat):
        yield look()
    yield from queues()
    yield from runners()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
