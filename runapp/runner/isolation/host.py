"""The fold server seen from a runner: started when first needed, shared by the runner's processes.

The server listens on a unix socket in a folder that only the runner can enter. The socket's name holds a
fingerprint of the installed packages and of datarun's code, so an upgrade brings a new server, and the
old one ends with the last connection of a runner to it.
"""

import contextlib
import fcntl
import os
import socket
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from runapp.runner.isolation import packages, places, view, wire
from runapp.runner.isolation.refusals import build_filter
from runapp.runner.isolation.wire import PRESENCE, WORK

#: How long a server takes to import its libraries at most, on a busy machine with cold disks.
START_SECONDS = 120.0
_BACKLOG = 256
_LOG_END_BYTES = 2000
#: How long a server waits for a runner once none is connected: one that many share, and one for one run.
_ALONE_SECONDS, _ONE_SHOT_ALONE_SECONDS = 2.0, 0.2
#: How long a server may take to end once nobody is connected.
_GRACE_SECONDS = 5.0


class FoldServer:
    """The fold server of this host's runners, and one-shot servers for organizer's code.

    Parameters
    ----------
    folder:
        Private folder of sockets and logs; made with mode 0700.
    idle_seconds:
        A server without a fold for this long ends.
    """

    def __init__(self, folder: Path, *, idle_seconds: float) -> None:
        self._folder = folder
        self._idle_seconds = idle_seconds
        #: Connection that keeps the server alive, with its fingerprint and the process that opened it.
        self._presence: tuple[socket.socket, str, int] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def fold_connection(self) -> socket.socket:
        """A connection on which the server has accepted to run one fold.

        Raises
        ------
        OSError
            If the server cannot be started here, with the end of its log.
        """
        fingerprint = packages.fingerprint()
        for _ in range(3):
            self._be_present(fingerprint)
            connection = self._connect(fingerprint)
            with contextlib.suppress(ConnectionError, wire.Ended):
                return _greeted(connection)
            # It was about to end, of idleness, at this very moment.
            connection.close()
            self._leave()
        raise OSError(f"the fold server does not start: {self._log_end(fingerprint)}")

    @contextlib.contextmanager
    def one_shot_connection(self, folders: Sequence[view.Folder]) -> Iterator[socket.socket]:
        """As ``fold_connection``, on a server of its own whose view also shows ``folders``."""
        self._make_folder()
        name = f"once-{uuid.uuid4().hex[:12]}"
        process = self._start(name, folders, _ONE_SHOT_ALONE_SECONDS)
        try:
            with _connected(self._folder, name) as presence:
                presence.sendall(PRESENCE)
                connection = _connected(self._folder, name)
                try:
                    accepted = _greeted(connection)
                except ConnectionError:
                    connection.close()
                    raise OSError(f"the sandbox does not start: {self._log_end(name)}") from None
                with accepted:
                    yield accepted
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            process.kill()
            process.wait()
            for path in self._paths(name):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the server, which ends if no other runner is connected."""
        self._leave()
        for process in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        self._started.clear()

    def _be_present(self, fingerprint: str) -> None:
        if self._presence is not None and self._presence[1:] == (fingerprint, os.getpid()):
            return
        self._leave()
        self._make_folder()
        with open(self._folder / "start.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                connection = _connected(self._folder, fingerprint)
            except (FileNotFoundError, ConnectionRefusedError):
                self._started = [process for process in self._started if process.poll() is None]
                self._started.append(self._start(fingerprint, (), _ALONE_SECONDS))
                connection = _connected(self._folder, fingerprint)
        connection.sendall(PRESENCE)
        self._presence = connection, fingerprint, os.getpid()

    def _connect(self, fingerprint: str) -> socket.socket:
        try:
            return _connected(self._folder, fingerprint)
        except (FileNotFoundError, ConnectionRefusedError):
            self._leave()
            self._be_present(fingerprint)
            return _connected(self._folder, fingerprint)

    def _leave(self) -> None:
        if self._presence is not None:
            self._presence[0].close()
            self._presence = None

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._folder / f"{name}.sock", self._folder / f"{name}.log"

    def _start(
        self, name: str, folders: Sequence[view.Folder], alone_seconds: float
    ) -> subprocess.Popen[bytes]:
        """Start a server on a new socket; it accepts what waits there once it is warm."""
        socket_path, log_path = self._paths(name)
        socket_path.unlink(missing_ok=True)
        filter_end, filter_start = os.pipe()
        # As long as no server has inherited the socket, nobody may find it.
        with socket.socket(socket.AF_UNIX) as listener, open(log_path, "wb") as log, open(filter_end, "rb"):
            with _short_path(self._folder) as folder:
                listener.bind(f"{folder}/{socket_path.name}")
            listener.listen(_BACKLOG)
            with open(filter_start, "wb") as stream:
                stream.write(build_filter())
            arguments = f"{listener.fileno()}, {filter_end}, {self._idle_seconds!r}, {alone_seconds!r}"
            program = (
                f"import sys; sys.path.insert(0, {str(places.ENGINE)!r}); "
                f"from runapp.runner.isolation import server; server.main({arguments})"
            )
            # Not bound to the life of this process: other runners' folds are in it, too.
            return subprocess.Popen(
                view.command(["-P", "-s", "-c", program], folders),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={}, cwd="/",
                pass_fds=(listener.fileno(), filter_end), start_new_session=True,
            )  # fmt: skip

    def _log_end(self, name: str) -> str:
        try:
            return (
                self._paths(name)[1].read_text(errors="replace")[-_LOG_END_BYTES:].strip()
                or "it says nothing"
            )
        except OSError:
            return "there is no log"


def _greeted(connection: socket.socket) -> socket.socket:
    """Ask for a fold; raises ``ConnectionError`` if the server ends instead of accepting."""
    connection.sendall(WORK)
    connection.settimeout(START_SECONDS)
    wire.receive(connection, max_blob_bytes=0)
    connection.settimeout(None)
    return connection


def _connected(folder: Path, name: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _short_path(folder) as short:
            connection.connect(f"{short}/{name}.sock")
    except OSError:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A path to ``folder`` that fits into the 107 bytes which the address of a unix socket may have."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
