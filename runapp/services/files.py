"""Files that callers send: checked, decoded, and written so that there is all of them or nothing."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from runapp.encodings import DecompressedTooLarge, NotEncoded, decode_bytes
from runapp.errors import InvalidInput, TooLarge
from runapp.exchange import fsync_folder

MAX_FILES = 1000
MAX_NAME_BYTES = 150
_FORBIDDEN = frozenset('/\\:*?"<>|')


def check_name(name: str, *, field: str = "files") -> None:
    """Refuse whatever is not a plain file name on every system.

    Raises
    ------
    InvalidInput
        For an empty or long name, a folder, a drive, ``..``, a hidden file, a character not printable.
    """
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise InvalidInput(field, f"a name must have 1 to {MAX_NAME_BYTES} bytes")
    if not name.isprintable() or _FORBIDDEN & set(name):
        raise InvalidInput(
            field, f"{name!r} is not a plain file name: no folders, drives or control characters"
        )
    if name.startswith((".", " ", "-")) or name.endswith((".", " ")):
        raise InvalidInput(
            field, f"{name!r} is not a plain file name: it begins or ends with '.', '-' or a space"
        )


def decode_files(files: Mapping[str, str]) -> dict[str, bytes]:
    """Decode files of a request, each ``base64(zlib(bytes))``.

    Raises
    ------
    InvalidInput
        Naming the file that is not encoded so or has no plain name.
    TooLarge
        If all of them together decompress to more than the server accepts.
    """
    if not files:
        raise InvalidInput("files", "send at least one file")
    if len(files) > MAX_FILES:
        raise InvalidInput("files", f"{len(files)} files are more than the {MAX_FILES} that are accepted")
    left = settings.MAX_DECOMPRESSED_BYTES
    decoded = {}
    for name, text in files.items():
        check_name(name)
        try:
            decoded[name] = decode_bytes(text, max_bytes=left)
        except NotEncoded as error:
            raise InvalidInput("files", f"{name}: {error.message}; send base64(zlib(content))") from None
        except DecompressedTooLarge:
            limit = settings.MAX_DECOMPRESSED_BYTES
            raise TooLarge(
                f"the files decompress to more than the {limit} bytes that this server accepts"
            ) from None
        left -= len(decoded[name])
    return decoded


def write_folder(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Make ``folder`` with the files, durable and by a rename; tells whether it was made, not found.

    Raises ``OSError`` with nothing left behind.
    """
    if folder.exists():
        os.utime(folder)  # what is old and unused is removed
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        beside.mkdir()
        for name, content in files.items():
            with open(beside / name, "xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        fsync_folder(beside)
        beside.rename(folder)
    except OSError:
        remove_folder(beside)
        if folder.exists():
            return False  # another request wrote the same content meanwhile
        raise
    fsync_folder(folder.parent)
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder with all there is in it, and the one above it if that is empty then."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty
        folder.parent.rmdir()
