"""The bar that shows how far folds are."""

import dataclasses
from collections.abc import Mapping

from runapp.contract import State
from runapp.dashboard.timeline import BAR_UNITS


@dataclasses.dataclass(frozen=True)
class Share:
    """Folds of a kind as a part of a bar that stands for all."""

    name: str
    kind: str
    n_folds: int
    x: float
    width: float


def shares(by_state: Mapping[str, int], n_running: int) -> list[Share]:
    """The parts of the bar of folds of which so many are in each state, and ``n_running`` were started."""
    n_all = sum(by_state.values())
    n_tested, n_failed = by_state.get(State.TESTED, 0), by_state.get(State.ERROR, 0)
    n_waiting = n_all - n_tested - n_failed - n_running
    parts, x = [], 0.0
    for name, kind, n_folds in (
        ("tested", "tested", n_tested),
        ("failed", "error", n_failed),
        ("running", "running", n_running),
        ("waiting", "todo", n_waiting),
    ):
        if n_folds:
            width = round(BAR_UNITS * n_folds / n_all, 1)
            parts.append(Share(name, kind, n_folds, round(x, 1), width))
            x += width
    return parts
