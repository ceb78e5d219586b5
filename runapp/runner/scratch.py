"""The private folder of one run, gone with it."""

import contextlib
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
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


def _unlock_and_retry(_: Any, path: str, __: Any) -> None:
    """Remove what the run made unremovable; what still cannot be removed raises ``OSError``."""
    left = Path(path)
    for place in (left.parent, left):
        if not place.is_symlink():
            with contextlib.suppress(OSError):
                place.chmod(stat.S_IRWXU)
    if left.is_dir() and not left.is_symlink():
        shutil.rmtree(left)
    else:
        left.unlink(missing_ok=True)
