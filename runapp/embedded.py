"""The broker of a datarun that has no servers: a private Redis on a unix socket, or plain files."""

import atexit
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from runapp.environment import Environment, redis_server_program
from runapp.errors import ConfigurationError
from runapp.parent_death import die_with_parent

_START_SECONDS = 20.0


def start_broker(environment: Environment) -> None:
    """Make sure that the embedded broker answers; the process that starts it also stops it, at its end.

    Raises
    ------
    ConfigurationError
        If the Redis server cannot be started, with the end of its log.
    """
    environment.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if environment.broker.kind == "files":
        for name in ("broker/messages", "broker/control", "broker/processed", "results"):
            (environment.home / name).mkdir(parents=True, exist_ok=True)
        return
    folder = environment.redis_socket.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    with open(folder / "start.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _answers(environment.redis_socket):
            _start_redis(environment.redis_socket)


def _answers(socket: Path) -> bool:
    import redis

    try:
        return bool(redis.Redis(unix_socket_path=str(socket), socket_timeout=5).ping())
    except (redis.ConnectionError, redis.TimeoutError):
        # Not started yet, or still reading its file: `_start_redis` waits for it.
        return False


def _start_redis(socket: Path) -> None:
    program = redis_server_program()
    if program is None:
        raise ConfigurationError(
            "there is no redis-server here; install one, or set DR_EMBEDDED_BROKER=files"
        )
    folder = socket.parent
    log = folder / "redis.log"
    options: dict[str, Any] = {
        "port": 0, "unixsocket": socket, "unixsocketperm": 600, "dir": folder, "logfile": log,
        "appendonly": "yes", "save": "", "daemonize": "no",
    }  # fmt: skip
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    # In a session of its own: Ctrl-C in the terminal must reach the workers first, the broker last.
    process = subprocess.Popen(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - only main threads start the broker
    )
    starter = os.getpid()

    def stop() -> None:
        if os.getpid() == starter:  # not in a forked child
            process.terminate()
            process.wait()

    atexit.register(stop)
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            end = log.read_text(errors="replace")[-600:] if log.exists() else "no log"
            raise ConfigurationError(f"the embedded Redis server did not start: {end}")
        time.sleep(0.02)
