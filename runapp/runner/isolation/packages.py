"""Which packages this runner has, told quickly: asked for every fold, and changed by hand at any time."""

import functools
import hashlib
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

from runapp.environment import BASE_DIR

#: Folders of installed packages. Their times change when one comes, goes, or is upgraded.
_FOLDERS = tuple(
    Path(folder) for folder in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
)


def fingerprint() -> str:
    """Changes whenever a package is installed, upgraded or removed, or datarun's own code changes."""
    state = _times((*_FOLDERS, *_engine_files())), sys.version
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def versions(*names: str) -> tuple[str, ...]:
    """The installed versions of packages."""
    return _versions(names, _times(_FOLDERS))


@functools.lru_cache(maxsize=4)
def _versions(names: tuple[str, ...], _: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    return tuple(version(name) for name in names)


def _times(paths: tuple[Path, ...]) -> tuple[tuple[str, int], ...]:
    """When each was changed last, in ns since the epoch."""
    return tuple((str(path), _time(path)) for path in paths)


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0  # an upgrade removed it, which is a change, too


@functools.cache
def _engine_files() -> tuple[Path, ...]:
    return tuple(sorted((BASE_DIR / "runapp" / "runner").rglob("*.py")))
