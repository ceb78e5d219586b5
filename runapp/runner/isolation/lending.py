"""A folder that organizer's code may write, and what is left in it afterwards."""

import contextlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from runapp.runner.isolation.view import UNPRIVILEGED_UID

_FOLDER_MODE, _FILE_MODE = 0o755, 0o644
#: Most files and folders that organizer's code may leave: each costs the shared disk an inode.
MAX_FILES = 100_000
#: Folders within folders, likewise: few enough for every program that reads them.
MAX_DEPTH = 64
#: What a folder's owner needs to see what is in it.
_READABLE_FOLDER = stat.S_IRUSR | stat.S_IXUSR
_CLOSED = "A folder was made that its owner cannot read."
#: Part of the time that may go into looking how large the folder is.
_LOOKING_PART = 0.05


@contextlib.contextmanager
def lent(folder: Path) -> Iterator[None]:
    """Lend a folder to the sandbox; back from there, it holds plain files and folders alone, all readable.

    Links and devices that the code left are removed: whoever reads the folder later might follow them.
    Where root runs the sandbox, everything belongs to the unprivileged user meanwhile.
    """
    is_root = os.geteuid() == 0
    if is_root:
        _give(folder, UNPRIVILEGED_UID)
    try:
        yield
    finally:
        _tidy(folder)
        if is_root:
            _give(folder, 0)


def _give(folder: Path, uid: int) -> None:
    os.chown(folder, uid, uid, follow_symlinks=False)
    for path, _, _ in _entries(folder):
        os.chown(path, uid, uid, follow_symlinks=False)


def _tidy(folder: Path) -> None:
    folder.chmod(_FOLDER_MODE)
    for path, status, depth in _entries(folder):
        if stat.S_ISREG(status.st_mode):
            path.chmod(_FILE_MODE)
        elif stat.S_ISDIR(status.st_mode) and depth < MAX_DEPTH:
            path.chmod(_FOLDER_MODE)  # before the walk goes down into it
        elif stat.S_ISDIR(status.st_mode):
            _remove_deep(path)
        else:
            path.unlink()


def _remove_deep(folder: Path) -> None:
    """Remove a folder whatever its depth, at which Python's own functions give up."""
    for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
        subprocess.run([*command, "--", folder], check=True, stderr=subprocess.DEVNULL)


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result, int]]:
    """Each file and folder down to ``MAX_DEPTH`` below ``folder``, a folder before what it holds.

    Those that vanish meanwhile are passed over. Raises ``PermissionError``.
    """
    waiting = [(folder, 1)]
    while waiting:
        place, depth = waiting.pop()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(place):
                path = place / name
                status = path.lstat()
                yield path, status, depth
                if stat.S_ISDIR(status.st_mode) and depth < MAX_DEPTH:
                    waiting.append((path, depth + 1))


class Allowance:
    """What a folder may come to hold while it is lent: ``max_kb`` and ``MAX_FILES`` in all."""

    def __init__(self, folder: Path, max_kb: int) -> None:
        self._folder = folder
        self._max_kb = max_kb
        self._next_look = 0.0
        #: Why it is exceeded, in words; empty while it is kept.
        self.exceeded = ""

    def is_exceeded(self) -> bool:
        """Look, unless that was done a moment ago."""
        if not self.exceeded and (started := time.monotonic()) >= self._next_look:
            self.look()
            now = time.monotonic()
            self._next_look = now + (now - started) / _LOOKING_PART
        return bool(self.exceeded)

    def look(self) -> None:
        """Count what is in the folder now; once exceeded, it stays so."""
        try:
            reason = self._reason()
        except PermissionError:
            reason = _CLOSED  # just now: its mode is looked at first
        self.exceeded = self.exceeded or reason

    def _reason(self) -> str:
        """Why what is in the folder now is too much; empty if it is not."""
        if _is_closed(self._folder.lstat()):
            return _CLOSED
        used_bytes = 0
        for n_entries, (_, status, depth) in enumerate(_entries(self._folder), start=1):
            used_bytes += status.st_blocks * 512
            if n_entries > MAX_FILES:
                return f"More than {MAX_FILES} files were written."
            if stat.S_ISDIR(status.st_mode) and depth == MAX_DEPTH:
                return f"Folders were made {MAX_DEPTH} levels deep."
            if _is_closed(status):
                return _CLOSED
        if used_bytes > self._max_kb * 1024:
            return f"More than {self._max_kb // 1024} MB were written, which is the most allowed."
        return ""


def _is_closed(status: os.stat_result) -> bool:
    """Whether this is a folder that its owner cannot read: root could, and would judge it otherwise."""
    return stat.S_ISDIR(status.st_mode) and status.st_mode & _READABLE_FOLDER != _READABLE_FOLDER


def size_bytes(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(
        os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names
    )
