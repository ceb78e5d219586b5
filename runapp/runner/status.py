"""What a runner says of itself when it is asked over Celery's remote control."""

import platform
from importlib.metadata import version
from typing import Any

from celery.worker import state as worker_state
from celery.worker.control import inspect_command

from runapp.contract import RUNNER_QUEUES, RUNNER_STATUS
from runapp.runner import launch

_LIBRARIES = ("numpy", "pandas", "scikit-learn")


@inspect_command(name=RUNNER_STATUS)
def runner_status(state: Any) -> dict[str, Any]:
    """Queues, places, level of isolation with what is missing to it, and versions of this runner."""
    measured = launch.measured()
    queues = {queue.name for queue in state.consumer.task_consumer.queues} if state.consumer else set()
    places = state.consumer.pool.num_processes if state.consumer else 0
    return {
        "queues": sorted(queues & {queue.value for queue in RUNNER_QUEUES}),
        "places": places,
        "free_places": max(places - len(worker_state.active_requests), 0),
        "isolation": measured.level.value,
        "reason": launch.refusal() or measured.reason,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }
