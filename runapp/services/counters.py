"""Counts of what happened lately, shared by all processes of the web server where there is a Redis.

They are kept in the cache ``counters``, of which ``datarun.settings`` says where it is. While that is
away each process counts for itself: nobody is refused for it, and nobody is let in without limit.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_Found = TypeVar("_Found")

#: For so long the shared cache is not asked again after it did not answer, which takes its time.
_AWAY_SECONDS = 10.0
_away_until = 0.0


def increase(name: str, window_seconds: int) -> int:
    """Count one more within the present window; how many there are."""
    key = _key(name, window_seconds)

    def add_one(cache: BaseCache) -> int:
        if cache.add(key, 1, window_seconds):
            return 1
        try:
            return int(cache.incr(key))
        except ValueError:
            return 1  # the window has just ended

    return _ask(add_one)


def count(name: str, window_seconds: int) -> int:
    """How many were counted within the present window."""
    key = _key(name, window_seconds)
    return int(_ask(lambda cache: cache.get(key, 0)))


def seconds_left(window_seconds: int) -> int:
    """Until the present window ends."""
    return window_seconds - _now() % window_seconds


def remember(name: str, seconds: int) -> None:
    _ask(lambda cache: cache.set(f"known:{name}", True, seconds))


def is_remembered(name: str) -> bool:
    return bool(_ask(lambda cache: cache.get(f"known:{name}", False)))


def _now() -> int:
    return int(time.time())


def _key(name: str, window_seconds: int) -> str:
    return f"{name}:{_now() // window_seconds}"


def _ask(question: Callable[[Any], _Found]) -> _Found:
    global _away_until  # noqa: PLW0603 - of the process, like the connection whose state it is
    if time.monotonic() >= _away_until:
        try:
            return question(caches["counters"])
        except (RedisError, OSError) as error:
            _away_until = time.monotonic() + _AWAY_SECONDS
            logger.warning("counts are kept by each process alone, their cache is away: %s", error)
    return question(caches["default"])
