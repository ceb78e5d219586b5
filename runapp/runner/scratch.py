"""The private folder of one run or canary, gone with it."""

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from runapp.content import read_folder

logger = logging.getLogger(__name__)

_PREFIX = "datarun-fold-"
#: A folder is locked right after it is made; younger than this it may not be yet.
_YOUNG_SECONDS = 60.0
#: Name of the package that the submission's files are.
PACKAGE = "submission"


class Scratch:
    """``work``, where the run may write, and ``packages``, which holds a copy of the submission's files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.submission = root / "packages" / PACKAGE
        self.work.mkdir()

    def copy_submission(self, folder: Path) -> None:
        """Copy a submission's plain files; raises ``NotPlainFiles`` and ``OSError`` as ``read_folder``."""
        self.submission.mkdir(parents=True)
        for name, content in read_folder(folder).items():
            (self.submission / name).write_bytes(content)
        (self.submission / "__init__.py").touch()


@contextlib.contextmanager
def scratch() -> Iterator[Scratch]:
    """A fresh folder that is removed at the end, whatever the run did to its permissions."""
    remove_abandoned()
    root = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    with _locked(root):
        try:
            yield Scratch(root)
        finally:
            _remove(root)


def remove_abandoned() -> None:
    """Remove the folders of runs whose runner was killed: those that nobody holds locked."""
    for root in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, still in use, or just removed by another runner
            if time.time() - root.lstat().st_mtime > _YOUNG_SECONDS:
                with _locked(root):
                    _remove(root)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove(root: Path) -> None:
    for place, names, _ in os.walk(root):
        # Before the walk goes on into them.
        for folder in (Path(place, name) for name in names):
            if not folder.is_symlink():
                with contextlib.suppress(OSError):  # not ours to unlock: the warning below tells
                    folder.chmod(stat.S_IRWXU)
    shutil.rmtree(root, ignore_errors=True)
    if root.exists():
        # A run must not be able to change its outcome by what it leaves.
        logger.warning("the scratch folder %s could not be removed", root)
