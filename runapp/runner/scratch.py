"""The private folder of one run, gone with it."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from runapp.content import read_folder

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
    """A fresh folder that is removed at the end, whatever was done to its permissions."""
    root = Path(tempfile.mkdtemp(prefix="datarun-fold-")).resolve()
    try:
        yield Scratch(root)
    finally:
        shutil.rmtree(root, onerror=_unlock_and_retry)


def _unlock_and_retry(
    function: Any, path: str, _: tuple[type[BaseException], BaseException, TracebackType]
) -> None:
    """Remove what the run made unremovable; what still cannot be removed raises ``OSError``."""
    for place in (os.path.dirname(path), path):
        with contextlib.suppress(OSError):
            os.chmod(place, stat.S_IRWXU, follow_symlinks=False)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
