"""The bell by which runners tell the master that there is something to do now."""

import logging

from kombu.exceptions import OperationalError

from datarun.celery import app
from runapp.contract import Queue, TaskName

#: A ring that nobody took by then is worth nothing: the periodic sweep was there before.
_RING_EXPIRES_SECONDS = 120

logger = logging.getLogger(__name__)


def ring_master(name: TaskName) -> None:
    """Ask the master for one of its tasks; where the broker is away, its periodic sweep comes without."""
    try:
        app.send_task(
            name.value,
            queue=Queue.MASTER.value,
            ignore_result=True,
            expires=_RING_EXPIRES_SECONDS,
            retry=False,
        )
    except (OperationalError, OSError) as error:
        logger.warning("the master could not be rung, its periodic sweep will come: %s", error)
