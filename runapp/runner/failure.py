"""The ways in which a fold or split fails that are found where it runs, each with its outcome."""

from typing import ClassVar

from runapp.contract import Outcome
from runapp.errors import DatarunError


class FoldFailure(DatarunError):
    """A fold or split ended without a result; the message is for a participant to read."""

    code = "fold_failed"
    outcome: ClassVar[Outcome]


class UserError(FoldFailure):
    """The submission's code is not what its workflow needs."""

    outcome = Outcome.USER_ERROR


class BadOutput(FoldFailure):
    """The submission ran, but what it predicts cannot be used."""

    outcome = Outcome.BAD_OUTPUT


class DataError(FoldFailure):
    """The data set is not what its workflow needs."""

    outcome = Outcome.DATA_ERROR
