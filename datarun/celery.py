"""The Celery application of master and runners. Imports no Django.

A worker that takes the queue ``master_periodic`` saves to the database, so it sets Django up and
imports ``runapp.tasks``; a worker that does not is a runner and never imports Django or holds a
database password. Why each setting is as it is: docs/explanation/queues.
"""

import os
from datetime import timedelta
from typing import Any

from celery import Celery, signals
from celery.schedules import crontab
from kombu import Exchange, Queue as BrokerQueue

from runapp import embedded
from runapp.contract import Priority, Queue, TaskName
from runapp.environment import Environment

environment = Environment.read()

#: With Redis as broker, an unacknowledged task is given to another worker after this time: far
#: above the longest fold, since a fold that lost its runner is found by its mark long before.
VISIBILITY_TIMEOUT = timedelta(days=7)
#: How often worker and broker tell each other that they are there: a runner cut off the network is
#: noticed after two to three of these, not after minutes.
HEARTBEAT_SECONDS = 20
#: Every hour, at a minute when nothing else is due.
_CLEAN_MINUTE = 41


def _transport_options() -> dict[str, Any]:
    kind = environment.broker.kind
    if kind == "redis":
        return {"visibility_timeout": VISIBILITY_TIMEOUT.total_seconds(), "health_check_interval": 30}
    if kind == "files":
        folder = environment.home / "broker"
        return {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "control"),
            "processed_folder": str(folder / "processed"),
            "polling_interval": 0.05,
        }
    # Confirmed publishing: without it a broker killed while publishing loses accepted messages.
    return {"confirm_publish": True}


def _schedule() -> dict[str, Any]:
    """What beat asks of the master's worker. What was not taken by the next time is asked again then."""

    def entry(name: TaskName, schedule: Any, expires_seconds: int) -> dict[str, Any]:
        options = {"queue": Queue.MASTER.value, "expires": expires_seconds}
        return {"task": name.value, "schedule": schedule, "options": options}

    recover_seconds = environment.recover_seconds
    return {
        "sweep": entry(TaskName.SWEEP, crontab(minute=environment.scheduler_period), 3600),
        "recover": entry(TaskName.RECOVER, recover_seconds, recover_seconds),
        "clean": entry(TaskName.CLEAN, crontab(minute=_CLEAN_MINUTE), 3600),
    }


def _configuration() -> dict[str, Any]:
    return {
        "broker_url": environment.broker.url,
        "result_backend": environment.broker.result_url,
        "broker_transport_options": _transport_options(),
        "broker_connection_retry_on_startup": True,
        "broker_channel_error_retry": True,
        "broker_heartbeat": HEARTBEAT_SECONDS,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "task_queues": [
            BrokerQueue(name.value, Exchange(name.value), routing_key=name.value) for name in Queue
        ],
        "task_default_queue": Queue.SPLIT.value,
        "task_routes": {
            TaskName.FOLD.value: {"queue": Priority.LOW.value},
            TaskName.SPLIT.value: {"queue": Queue.SPLIT.value},
            TaskName.SAVE.value: {"queue": Queue.MASTER.value},
            TaskName.SWEEP.value: {"queue": Queue.MASTER.value},
            TaskName.RECOVER.value: {"queue": Queue.MASTER.value},
            TaskName.SCORE.value: {"queue": Queue.MASTER.value},
            TaskName.CLEAN.value: {"queue": Queue.MASTER.value},
        },
        "task_acks_late": True,
        # A fold whose process was lost is sent again by the master, which counts its attempts: a message
        # that the broker delivered again would meet the fold's mark and go away, or loop for ever.
        "task_reject_on_worker_lost": False,
        "task_retry_on_worker_lost": False,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "task_track_started": True,
        "worker_prefetch_multiplier": 1,
        # A fold outlives a loss of the broker; its message, delivered again elsewhere, meets its mark.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_deduplicate_successful_tasks": True,
        "worker_send_task_events": True,
        "worker_hijack_root_logger": True,
        # A task's result holds its state only; predictions lie in the database. So expiry loses nothing.
        "result_expires": timedelta(days=1),
        "result_backend_always_retry": True,
        "timezone": "UTC",
        "beat_schedule": _schedule(),
        "beat_schedule_filename": str(environment.home / "celerybeat-schedule"),
    }


# No fixups: Celery's for Django loads the database layer wherever DJANGO_SETTINGS_MODULE is set.
app = Celery("datarun", fixups=[])
app.config_from_object(_configuration())


def set_up_master() -> None:
    """Make Django usable in this process, which is not started by manage.py."""
    import django
    from django.apps import apps

    if not apps.ready:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "datarun.settings")
        django.setup()


@signals.celeryd_init.connect
def _import_tasks_of_queues(options: dict[str, Any], **_: object) -> None:
    """Import the tasks of the queues that this worker takes, and nothing beyond."""
    chosen = options.get("queues") or [name.value for name in Queue]
    queues = set(chosen.split(",") if isinstance(chosen, str) else chosen)
    try:
        if environment.broker.kind != "amqp":
            embedded.start_broker(environment)
        if queues - {Queue.MASTER.value}:
            import runapp.runner.tasks
            import runapp.runner.worker_life
        if Queue.MASTER.value in queues:
            set_up_master()
            import runapp.tasks  # noqa: F401
    except Exception as error:
        # Celery only logs what a receiver raises: the worker would run on and drop every task it gets.
        raise SystemExit(f"this worker cannot start: {error}") from error


@signals.beat_init.connect
def _start_broker_for_beat(**_: object) -> None:
    if environment.broker.kind != "amqp":
        embedded.start_broker(environment)
