"""Run a command as a user who is nobody special: ``python as_ordinary_user.py COMMAND...``, started by root.

For tests of what an ordinary user's runner can do. Where the interpreter or the project lies in a folder
that other users cannot enter (``/root``), the command sees, in mounts of its own, a folder there that holds
only those.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from runapp.runner.isolation import syscalls  # noqa: E402

ORDINARY_UID = 65432
_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 1 << 14, 1 << 18
_OTHERS_MAY_ENTER = 0o001


def main(command: list[str]) -> None:
    syscalls.unshare(_CLONE_NEWNS)
    syscalls.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    needed = {Path(sys.prefix), Path(sys.base_prefix), ROOT}
    closed: dict[Path, set[Path]] = {}
    for folder in needed:
        if (first := _first_closed(folder)) is not None:
            closed.setdefault(first, set()).add(folder)
    for place, folders in closed.items():
        _open(place, folders)
    os.setgroups([])
    os.setresgid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID)
    os.setresuid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID)
    os.environ["HOME"] = "/tmp"
    os.execvp(command[0], command)


def _first_closed(folder: Path) -> Path | None:
    return next(
        (part for part in (*reversed(folder.parents), folder) if not part.stat().st_mode & _OTHERS_MAY_ENTER),
        None,
    )


def _open(place: Path, folders: set[Path]) -> None:
    """Put an empty folder that all may enter over ``place``, with ``folders`` below it where they were."""
    descriptors = {folder: os.open(folder, os.O_PATH) for folder in folders}
    syscalls.mount("tmpfs", str(place), "tmpfs", 0, "mode=0755")
    for folder, descriptor in descriptors.items():
        folder.mkdir(parents=True, exist_ok=True)
        syscalls.mount(f"/proc/self/fd/{descriptor}", str(folder), None, _MS_BIND | _MS_REC)


if __name__ == "__main__":
    main(sys.argv[1:])
