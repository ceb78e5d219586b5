"""Which launcher runs this host's folds: the best that it can, if that is good enough."""

import functools
import logging

from runapp.environment import Environment
from runapp.errors import ConfigurationError
from runapp.runner.isolation import canary
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.level import BelowMinimum, Level, Measured
from runapp.runner.isolation.prepared import PreparedDataSets
from runapp.runner.job import Launcher
from runapp.runner.process import FreshProcess

#: A fold server without a fold for this long ends, and takes its warm libraries with it.
DEFAULT_IDLE_SECONDS = 1800
DEFAULT_PREPARED_MB = 20 * 1024

logger = logging.getLogger(__name__)


def minimum_level(environment: Environment) -> Level:
    """The level below which folds are refused: ``DR_ISOLATION_MINIMUM``, ``full`` unless set.

    Raises
    ------
    ConfigurationError
        If it names no level.
    """
    text = environment.variables.get("DR_ISOLATION_MINIMUM", Level.FULL.value)
    try:
        return Level(text)
    except ValueError:
        raise ConfigurationError(
            f"DR_ISOLATION_MINIMUM is {text!r}; it must be one of {', '.join(Level)}"
        ) from None


@functools.cache
def measured() -> Measured:
    """What the canary found on this host; measured once in a worker, before its pool children fork."""
    environment = Environment.read()
    found = canary.measure(_isolated(environment, "unknown"))
    if found.level is not Level.FULL:
        logger.warning("folds are isolated here at the level %s only: %s", found.level, found.reason)
    return found


def refusal() -> str:
    """Why this host refuses folds, in words; empty if it takes them."""
    found, minimum = measured(), minimum_level(Environment.read())
    if found.level.reaches(minimum):
        return ""
    return (
        f"This runner isolates folds at the level {found.level}; the minimum is {minimum}: {found.reason} "
        f"To run them nevertheless, for people whom you trust, set DR_ISOLATION_MINIMUM={found.level}."
    )


@functools.cache
def launcher() -> Launcher:
    """The launcher of this process.

    Raises
    ------
    BelowMinimum
        With the reason and the remedy, if this host isolates less than it must.
    """
    if reason := refusal():
        raise BelowMinimum(reason)
    if measured().level is Level.NONE:
        return FreshProcess()
    return _isolated(Environment.read(), measured().level)


def _isolated(environment: Environment, level: str) -> IsolatedProcess:
    folder = environment.home / "isolation"
    idle_seconds = environment.integer("DR_FOLD_SERVER_IDLE_SECONDS", DEFAULT_IDLE_SECONDS)
    prepared_mb = environment.integer("DR_PREPARED_DATA_MB", DEFAULT_PREPARED_MB)
    return IsolatedProcess(
        FoldServer(folder / "server", idle_seconds=idle_seconds),
        PreparedDataSets(folder / "prepared", max_bytes=prepared_mb << 20),
        isolation=level,
        threads=environment.integer("DR_FOLD_THREADS", 1),
    )
