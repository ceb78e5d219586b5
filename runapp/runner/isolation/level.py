"""How well a host isolates folds."""

import dataclasses
from enum import StrEnum

from runapp.errors import DatarunError


class Level(StrEnum):
    """``full``: nothing that the canary tries succeeds. ``partial``: secrets are safe, limits are not.
    ``none``: a submission's code may reach this machine."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"

    def reaches(self, minimum: "Level") -> bool:
        order = list(Level)
        return order.index(self) <= order.index(minimum)


@dataclasses.dataclass(frozen=True)
class Measured:
    """The level of this host, and in words what is missing to ``full``."""

    level: Level
    reason: str = ""


class BelowMinimum(DatarunError):
    """This runner isolates folds less well than it must."""

    code = "isolation_below_minimum"
