"""Names for the content of a folder of files: equal files, equal hash. No Django."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from runapp.errors import DatarunError

#: Separators of folders, and control characters.
_NOT_PLAIN = re.compile(r"[/\\\x00-\x1f\x7f]")


class NotPlainFiles(DatarunError):
    """A folder holds something else than plain files with plain names."""

    code = "not_plain_files"


def content_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents, in hexadecimal.

    Each name and each content is preceded by its length, so no two different sets of files feed
    the hash with the same bytes.

    Raises
    ------
    NotPlainFiles
        If a name could lead out of a folder or is not the name of a file.
    """
    digest = hashlib.sha256()
    for name in sorted(files):
        _require_plain(name)
        for part in (name.encode(), files[name]):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def folder_hash(folder: Path) -> str:
    """The ``content_hash`` of the files in a folder.

    Raises
    ------
    NotPlainFiles
        If there is anything but regular files: links, folders, devices.
    OSError
        If the folder or a file cannot be read.
    """
    return content_hash(read_folder(folder))


def read_folder(folder: Path) -> dict[str, bytes]:
    """Names and contents of a folder of plain files; errors as ``folder_hash``."""
    return {name: read_regular(folder / name) for name in os.listdir(folder)}


def read_regular(path: Path) -> bytes:
    """The content of a file that is no link; errors as ``folder_hash``."""
    _require_plain(path.name)
    if not stat.S_ISREG(path.lstat().st_mode):
        raise NotPlainFiles(f"{path.name!r} is not a regular file")
    # Between the look and the opening it may have been exchanged: a link is refused, a pipe does not block.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        return stream.read()


def _require_plain(name: str) -> None:
    if name in ("", ".", "..") or _NOT_PLAIN.search(name):
        raise NotPlainFiles(f"{name[:60]!r} is not the plain name of a file")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise NotPlainFiles(f"{name[:60]!r} is not text") from None
