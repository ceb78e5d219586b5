"""Private PostgreSQL, RabbitMQ and Redis on free ports, in a temporary folder.

    python test_files/services.py run -- COMMAND    run COMMAND with the services in its environment
    python test_files/services.py shell             the same with your shell
    python test_files/services.py packages          print the system packages that are missing here

The machine's own services are never touched, and nothing is left behind, also when the process
that started them is killed.
"""

import argparse
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

if __package__ in (None, ""):  # run as a script: `test_files` must be found all the same
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runapp.parent_death import die_with_parent
from test_files.processes import Process, ProcessFailed, free_ports, start_all, stop_all

_DATABASE = "datarun"
_ACCOUNT = "datarun"
_VHOST = "datarun-test"
_FOLDER_PREFIX = "datarun-services-"
_RABBITMQ_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def postgres_folder() -> Path | None:
    """Folder of the newest PostgreSQL's programs, or None."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    program = max(found, key=lambda path: float(path.parts[4]), default=None) or shutil.which("initdb")
    return Path(program).parent if program else None


def missing_packages() -> list[str]:
    """Debian's names of the packages that the services and isolated folds need and that are not here."""
    found = {
        "postgresql": postgres_folder() is not None,
        "rabbitmq-server": Path(_RABBITMQ_SERVER).exists(),
        "redis-server": shutil.which("redis-server") is not None,
        "bubblewrap": shutil.which("bwrap") is not None,
    }
    return [package for package, here in found.items() if not here]


class Services:
    """The three services, running while the context lasts.

    ``postgres``, ``rabbitmq`` and ``redis`` are processes that a test may stop, kill and start again, as all
    of ``processes``;
    ``environment`` holds the variables with which datarun finds them.

    Parameters
    ----------
    consumer_timeout_seconds:
        After how long RabbitMQ takes a task from a worker that does not acknowledge it; None for its default.
    """

    def __init__(self, *, consumer_timeout_seconds: float | None = None) -> None:
        self._consumer_timeout_seconds = consumer_timeout_seconds

    def __enter__(self) -> Self:
        if missing := missing_packages():
            raise ProcessFailed(f"missing here; on Debian: apt-get install {' '.join(missing)}")
        _remove_abandoned_folders()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o711)  # PostgreSQL runs as another user and has to get through
        try:
            self._make_processes()
            start_all(self.processes)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_all(self.processes)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_processes(self) -> None:
        self._password = secrets.token_urlsafe(16)
        servers = ("postgres", "rabbitmq", "erlang", "epmd", "redis")
        self._ports = dict(zip(servers, free_ports(len(servers)), strict=True))
        self.postgres = self._postgres()
        epmd = self._epmd()
        self.rabbitmq = self._rabbitmq()
        self.redis = self._redis()
        self.processes = [self.redis, self.postgres, epmd, self.rabbitmq]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point datarun to the services and to fresh folders."""
        home = self.folder / "datarun"
        return {
            "DR_WORKING_ENV": "DEV",
            "DR_DATABASE_NAME": _DATABASE,
            "DR_DATABASE_USER": _ACCOUNT,
            "DR_DATABASE_PASSWORD": self._password,
            "DR_DATABASE_HOST": "127.0.0.1",
            "DR_DATABASE_PORT": str(self._ports["postgres"]),
            "RMQ_VHOST": _VHOST,
            "IP_MASTER": "127.0.0.1",
            "DR_BROKER_USER": _ACCOUNT,
            "DR_BROKER_PASSWORD": self._password,
            "DR_BROKER_PORT": str(self._ports["rabbitmq"]),
            "DR_REDIS_PORT": str(self._ports["redis"]),
            "DR_HOME": str(home),
            "DIR_DATA": str(home / "data"),
            "DIR_SUBMISSION": str(home / "submission"),
        }

    def _postgres(self) -> Process:
        programs = postgres_folder()
        assert programs is not None
        folder = self.folder / "postgres"
        folder.mkdir()
        prefix = _as_plain_user(folder)
        password_file = folder / "password"
        password_file.write_text(self._password)
        made = subprocess.run(
            [*prefix, programs / "initdb", "--pgdata", folder / "data", "--username", _ACCOUNT, "--no-sync",
             "--auth", "scram-sha-256", "--pwfile", password_file, "--encoding", "UTF8", "--locale", "C"],
            capture_output=True, text=True, cwd=folder,
        )  # fmt: skip
        if made.returncode:
            raise ProcessFailed(f"initdb failed: {made.stdout[-1000:]}{made.stderr[-2000:]}")
        settings = {
            "port": self._ports["postgres"], "listen_addresses": "127.0.0.1", "max_connections": 200,
            "unix_socket_directories": folder, "fsync": "off",
            "full_page_writes": "off",
            # Not in /dev/shm, which others may sweep.
            "dynamic_shared_memory_type": "mmap",
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        import psycopg

        return Process(
            "postgres",
            [*prefix, programs / "postgres", "-D", folder / "data", *options],
            folder=self.folder,
            environment={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            is_ready=self._make_database,
            not_yet=(psycopg.OperationalError,),
            stop_signal=signal.SIGINT,  # its fast shutdown, which does not wait for clients
            working_folder=folder,
        )

    def _make_database(self) -> bool:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self._ports["postgres"], user=_ACCOUNT, password=self._password,
            dbname="postgres", autocommit=True, connect_timeout=5,
        ) as connection:  # fmt: skip
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,))
            if not found.fetchone():
                connection.execute(f"CREATE DATABASE {_DATABASE}")
        return True

    def _erlang_environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "rabbitmq"),
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _epmd(self) -> Process:
        # Erlang would start it as a daemon that outlives the broker.
        return Process(
            "epmd",
            [shutil.which("epmd") or "epmd"],
            folder=self.folder,
            environment=self._erlang_environment(),
            is_ready=lambda: _listens(self._ports["epmd"]),
        )

    def _rabbitmq(self) -> Process:
        folder = self.folder / "rabbitmq"
        folder.mkdir()
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (folder / "enabled_plugins").write_text("[].")
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self._ports['rabbitmq']}",
            "default_vhost": _VHOST, "default_user": _ACCOUNT, "default_pass": self._password,
            "default_permissions.configure": ".*", "default_permissions.read": ".*",
            "default_permissions.write": ".*", "disk_free_limit.absolute": "50MB",
        }  # fmt: skip
        if self._consumer_timeout_seconds is not None:
            settings["consumer_timeout"] = str(int(self._consumer_timeout_seconds * 1000))
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (folder / "rabbitmq.conf").write_text("".join(lines))
        # How often it is looked whether that time is over, in milliseconds.
        advanced = folder / "advanced.config"
        advanced.write_text("[{rabbit, [{channel_tick_interval, 1000}]}].\n")
        environment = self._erlang_environment() | {
            "RABBITMQ_NODENAME": f"datarun{self._ports['rabbitmq']}@localhost",
            "RABBITMQ_DIST_PORT": str(self._ports["erlang"]),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(advanced),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_LOGS": "-",
            "RUNNING_UNDER_SYSTEMD": "true",  # no shell between us and Erlang
        }
        return Process(
            "rabbitmq",
            [_RABBITMQ_SERVER],
            folder=self.folder,
            environment=environment,
            is_ready=self._broker_takes_us,
            working_folder=folder,
        )

    def _broker_takes_us(self) -> bool:
        from kombu import Connection

        address = f"amqp://{_ACCOUNT}:{self._password}@127.0.0.1:{self._ports['rabbitmq']}/{_VHOST}"
        with Connection(address, connect_timeout=5) as connection:
            connection.connect()
        return True

    def _redis(self) -> Process:
        folder = self.folder / "redis"
        folder.mkdir()
        configuration = folder / "redis.conf"
        configuration.write_text(
            f"bind 127.0.0.1\nport {self._ports['redis']}\nrequirepass {self._password}\n"
            f'dir {folder}\nsave ""\nappendonly no\n'
        )
        return Process(
            "redis",
            [shutil.which("redis-server") or "redis-server", configuration],
            folder=self.folder,
            environment={"PATH": os.environ["PATH"]},
            is_ready=lambda: _listens(self._ports["redis"]),
        )


def _as_plain_user(folder: Path) -> list[str]:
    """The prefix that runs a program as a plain user who owns ``folder``: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return []
    names = {account.pw_name for account in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    # The kernel forgets the parent's death signal when the user changes: setpriv asks again.
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--pdeathsig=KILL"]


def _remove_abandoned_folders() -> None:
    """Remove what a start that was killed could not remove; its servers died with it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*-*"):
        starter = folder.name.removeprefix(_FOLDER_PREFIX).split("-")[0]
        with contextlib.suppress(FileNotFoundError):  # its own services have just ended
            if folder.stat().st_uid == os.geteuid() and not Path(f"/proc/{starter}").exists():
                shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        return True


def _run(command: list[str]) -> int:
    """Run ``command`` with the services; its exit code, or 128 + the signal that ended it."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with Services() as services:
        environment = os.environ | services.environment
        process = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent())
        try:
            code = process.wait()
        except KeyboardInterrupt:
            code = process.wait(30)  # the terminal sent Ctrl-C to the command, too
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return code if code >= 0 else 128 - code


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="run a command with the services")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    actions.add_parser("shell", help="open your shell with the services")
    actions.add_parser("packages", help="print the system packages that are missing")
    arguments = parser.parse_args()
    if arguments.action == "packages":
        for package in missing_packages():
            print(package)
        return 0
    if arguments.action == "shell":
        return _run([os.environ.get("SHELL", "/bin/sh")])
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        parser.error("no command given after --")
    return _run(command)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProcessFailed as error:
        sys.exit(f"services: {error}")
