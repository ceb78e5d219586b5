"""Where Celery keeps the state of tasks. No Django.

datarun itself never waits for a task's result: folds report through the shared disk. The results
are for people who look a task up by its id.
"""

import os
import uuid
from typing import Any

from celery.backends.filesystem import FilesystemBackend
from celery.backends.redis import RedisBackend


class SendOnlyRedisBackend(RedisBackend):
    """Redis, but whoever sends a task does not listen for its result.

    Celery's own subscribes at each send: the subscriptions of a web process pile up for ever, and
    while Redis is away a POST waits twenty seconds and fails though the broker has the task.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Nothing to prepare: no one waits in this process."""


class AtomicFilesystemBackend(FilesystemBackend):
    """Files, each appearing by a rename: a reader never sees half of one."""

    def set(self, key: str | bytes, value: str | bytes) -> None:
        place: bytes = self._filename(key)  # type: ignore[attr-defined]
        beside = place + f".{uuid.uuid4().hex}".encode()
        with self.open(beside, "wb") as stream:  # type: ignore[attr-defined]
            stream.write(value.encode() if isinstance(value, str) else value)
        os.replace(beside, place)
