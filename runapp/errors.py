"""The errors datarun raises: one root, each subclass with a stable ``code``.

They are raised where they are known and turned into an answer in one place
(``runapp.api.exceptions``). No Django here: runners raise them too.
"""


class DatarunError(Exception):
    """Something datarun refuses or cannot do."""

    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])

    @property
    def message(self) -> str:
        return str(self.args[0])


class InvalidInput(DatarunError):
    """What was sent is not valid.

    ``field`` names the part of the request that is wrong, as the caller wrote it.
    """

    code = "invalid"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotFound(DatarunError):
    """There is no such object."""

    code = "not_found"


class Forbidden(DatarunError):
    """This account may not do that."""

    code = "permission_denied"


class TooManyRequests(DatarunError):
    """Somebody asks too often, and is to wait for ``wait_seconds``."""

    code = "throttled"

    def __init__(self, message: str, *, wait_seconds: int) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class TooLarge(DatarunError):
    """What was sent is larger than this server accepts."""

    code = "too_large"


class Conflict(DatarunError):
    """The object is not in a state that allows this."""

    code = "conflict"


class SplitNeverAsked(Conflict):
    """The data set was never split into train and test.

    A fold cannot be trained on it before ``rawdata/split/`` or ``rawdata/customsplit/`` was asked for.
    """

    code = "split_missing"


class SplitFailed(Conflict):
    """Splitting the data set failed, so no fold can be trained on it."""

    code = "split_failed"


class InvalidMessage(DatarunError):
    """A task's message or an outcome file does not have the form it must have."""

    code = "invalid_message"


class ConfigurationError(DatarunError):
    """A setting is missing or makes no sense."""

    code = "configuration"
