"""Runners, as they describe themselves on the shared disk."""

import dataclasses

from runapp import dispatch
from runapp.errors import Conflict, NotFound
from runapp.messages import RunnerMark

#: A runner that has said nothing for so long is not there.
RUNNER_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Runner:
    """A runner as it described itself last, and how long ago that was."""

    mark: RunnerMark
    silent_seconds: float
    #: How far its clock was ahead of that of the shared disk.
    clock_error_seconds: float

    @property
    def is_alive(self) -> bool:
        return self.silent_seconds <= RUNNER_SECONDS

    @property
    def free_places(self) -> int:
        return max(self.mark.places - self.mark.busy, 0)


def known_runners() -> list[Runner]:
    """All runners that were there within the last day. Raises ``OSError`` if the shared disk is gone."""
    exchange = dispatch.exchange()
    now = exchange.now()
    return [Runner(mark, now - at, mark.clock - at) for mark, at in exchange.runners()]


def runners() -> list[Runner]:
    """As ``known_runners``; none if the shared disk is gone."""
    try:
        return known_runners()
    except OSError:
        return []  # health.disk says why


def host_drain(host: str) -> list[RunnerMark]:
    """Have the runners of a host finish what they run and take no more; those that are up.

    Raises ``InvalidMessage`` for what is no name of a host, and ``OSError``.
    """
    dispatch.exchange().drain(host)
    return [runner.mark for runner in runners() if runner.is_alive and runner.mark.host == host]


def host_resume(host: str) -> bool:
    """Undo ``host_drain``; tells whether the host was drained. Raises as that does."""
    return dispatch.exchange().resume(host)


def host_forget(host: str) -> list[str]:
    """Remove what is left of a host that is gone for good; the names of its runners.

    Raises ``Conflict`` if one of them is up, ``NotFound`` if nothing is known of the host, ``InvalidMessage``
    for what is no name of a host, and ``OSError``.
    """
    for runner in known_runners():
        if runner.mark.host == host and runner.is_alive:
            ago = f"{runner.mark.runner} was up {max(runner.silent_seconds, 0):.0f} s ago"
            raise Conflict(
                f"{ago}: stop it, and try again when it has been silent for {RUNNER_SECONDS:.0f} s"
            )
    was_drained = dispatch.exchange().is_drained(host)
    if not (gone := dispatch.exchange().forget_host(host)) and not was_drained:
        raise NotFound(f"no runner of {host} is known")
    return gone
