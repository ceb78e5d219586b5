"""The folder of a data set's split: made beside its place, and put there whole and for good.

Each split has a folder of its own, so a new split never changes data under a running fold.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from runapp.exchange import fsync_folder, write_atomically

#: Says, in a published folder, how many rows the split counted.
ROWS_FILE = ".split.json"


@contextlib.contextmanager
def working_folder(split_folder: Path, source_folder: Path, *, custom: bool) -> Iterator[Path]:
    """A folder beside ``split_folder``: empty, or for a custom data set a copy of its source.

    Removed at the end unless it was published. Raises ``OSError``.
    """
    folder = split_folder.with_name(f".{split_folder.name}.{uuid.uuid4().hex}")
    split_folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        if custom:
            shutil.copytree(source_folder, folder, symlinks=True)
        else:
            folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, split_folder: Path, rows: tuple[int, int]) -> tuple[int, int]:
    """Put a finished folder in its place and return its numbers of training and test rows.

    If another delivery of the same split was quicker, its folder stays and its rows are returned.
    When this returns, the split is durable. Raises ``OSError``.
    """
    write_atomically(folder / ROWS_FILE, json.dumps(rows).encode(), durable=True)
    _fsync_tree(folder)
    try:
        folder.rename(split_folder)
    except OSError:
        published = published_rows(split_folder)
        if published is None:
            raise
        return published
    fsync_folder(split_folder.parent)
    return rows


def published_rows(split_folder: Path) -> tuple[int, int] | None:
    """The numbers of training and test rows of a published split, None where there is none."""
    try:
        n_train_rows, n_test_rows = json.loads((split_folder / ROWS_FILE).read_bytes())
    except FileNotFoundError:
        return None
    return int(n_train_rows), int(n_test_rows)


def _fsync_tree(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            # What a custom data set's code left there may be a link or a pipe.
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
        fsync_folder(Path(place))
