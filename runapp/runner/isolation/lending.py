"""A folder that organizer's code may write, and what is left in it afterwards."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from runapp.runner.isolation.view import UNPRIVILEGED_UID

_FOLDER_MODE, _FILE_MODE = 0o755, 0o644


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
    for place, _, names in os.walk(folder):
        for path in (place, *(os.path.join(place, name) for name in names)):
            os.chown(path, uid, uid, follow_symlinks=False)


def _tidy(folder: Path) -> None:
    for place, folders, names in os.walk(folder):
        Path(place).chmod(_FOLDER_MODE)
        for name in (*folders, *names):
            path = Path(place, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                path.chmod(_FILE_MODE)
            elif stat.S_ISDIR(mode):
                path.chmod(_FOLDER_MODE)  # before the walk goes down into it
            else:
                path.unlink()


def size_bytes(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(
        os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names
    )
