"""The outer view: what of this machine the fold server, and so every fold, can see. Made by bubblewrap."""

import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from runapp.environment import BASE_DIR
from runapp.errors import DatarunError
from runapp.runner.isolation import places

#: Whom the fold server becomes when root starts it: no account, no file, no process has this number.
UNPRIVILEGED_UID = 65533
#: In the private mounts of a server that root starts, what it may read hangs here. Exists on every Linux.
_STAGE_FOLDER = "/mnt"
#: Who folds think they are.
_INSIDE_UID = 1000
_SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime")
#: The parts of datarun that run inside, or that those import.
_ENGINE_PARTS = (
    "__init__.py", "content.py", "contract.py", "encodings.py", "environment.py", "errors.py",
    "parent_death.py", "runner",
)  # fmt: skip
_ENVIRONMENT = {
    "HOME": str(places.SCRATCH),
    "TMPDIR": str(places.SCRATCH),
    "USER": "fold",
    "LOGNAME": "fold",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Sets are iterated in the same order in every run.
    "PYTHONHASHSEED": "0",
    # The server must never start a thread pool; each fold raises its own.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
}


class NoBubblewrap(DatarunError):
    """There is no bubblewrap (the program bwrap) on this machine."""

    code = "no_bubblewrap"


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder of this machine that the view shows at another place."""

    outside: Path
    inside: Path
    writable: bool = False


def command(program: Sequence[str], folders: Sequence[Folder] = ()) -> list[str]:
    """The command that runs ``python`` with the arguments ``program`` inside a view, also with ``folders``.

    Raises
    ------
    NoBubblewrap
        If the machine has none.
    """
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise NoBubblewrap()
    binds = _Binds(staged=os.geteuid() == 0)
    for folder in _python_folders():
        binds.add(folder, _shown_at(folder))
    for part in _ENGINE_PARTS:
        if (BASE_DIR / "runapp" / part).exists():
            binds.add(BASE_DIR / "runapp" / part, places.ENGINE / "runapp" / part)
    for shown in folders:
        binds.add(shown.outside, shown.inside, writable=shown.writable)
    return binds.staged_command(
        [
            bubblewrap, "--unshare-all", "--new-session", "--clearenv", *_environment(_ENVIRONMENT),
            "--setenv", "PATH", f"{_shown_at(Path(sys.prefix))}/bin:/usr/bin:/bin",
            "--uid", str(_INSIDE_UID), "--gid", str(_INSIDE_UID), "--hostname", "fold", *_system_view(),
            *binds.arguments, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--",
            _interpreter(), *program,
        ]
    )  # fmt: skip


def _environment(variables: Mapping[str, str]) -> list[str]:
    return [part for name, value in variables.items() for part in ("--setenv", name, value)]


def _system_view() -> list[str]:
    arguments = ["--ro-bind", "/usr", "/usr"]
    for folder in _SYSTEM_FOLDERS:
        if Path(folder).is_symlink():
            arguments += ["--symlink", str(Path(folder).readlink()), folder]
        else:
            arguments += ["--ro-bind-try", folder, folder]
    for file in _SYSTEM_FILES:
        arguments += ["--ro-bind-try", file, file]
    return [
        *arguments,
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--dir",
        str(places.SCRATCH),
        "--tmpfs",
        str(places.SHARED_MEMORY),
    ]


def _python_folders() -> list[Path]:
    """Folders of the interpreter and the installed packages that ``/usr`` does not hold."""
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent.parent}
    return sorted(folder for folder in found if not folder.is_relative_to("/usr"))


def _shown_at(folder: Path) -> Path:
    """Where the view shows a folder of Python: in its own place, unless a fold's scratch would cover that.

    A virtual environment may be moved so; the interpreter that it was made from may not.
    """
    hidden = any(folder.is_relative_to(place) for place in (places.SCRATCH, places.SHARED_MEMORY))
    return places.PYTHON / folder.name if hidden else folder


def _interpreter() -> str:
    executable, prefix = Path(sys.executable), Path(sys.prefix)
    if executable.is_relative_to(prefix):
        executable = _shown_at(prefix) / executable.relative_to(prefix)
    return str(executable)


class _Binds:
    """The arguments that bind folders; where root starts the view, by way of places that all can reach."""

    def __init__(self, *, staged: bool) -> None:
        self._staged = staged
        self._sources: list[str] = []
        self.arguments: list[str] = []

    def add(self, outside: Path, inside: Path, *, writable: bool = False) -> None:
        source = str(outside)
        if self._staged:
            source = f"{{{len(self._sources)}}}"
            self._sources.append(str(outside))
        self.arguments += ["--bind" if writable else "--ro-bind", source, str(inside)]

    def staged_command(self, inner: list[str]) -> list[str]:
        if not self._staged:
            return inner
        specification = {
            "folder": _STAGE_FOLDER, "uid": UNPRIVILEGED_UID, "sources": self._sources, "command": inner,
        }  # fmt: skip
        start = (
            f"import sys; sys.path.insert(0, {str(BASE_DIR)!r}); "
            "from runapp.runner.isolation import stage; stage.main()"
        )
        return [sys.executable, "-I", "-S", "-c", start, json.dumps(specification)]
