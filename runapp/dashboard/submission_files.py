"""A submission's files as people read them: code highlighted, what is not text only named."""

import dataclasses
import os
import stat
from pathlib import Path

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

from runapp.dashboard.untrusted_text import harmless

#: Of a larger file only the beginning is shown, and of all files together not more than this is read.
MAX_SHOWN_BYTES = 64 * 1024
MAX_SHOWN_BYTES_IN_ALL = 256 * 1024
MAX_FILES = 50
#: A longer line is no code that anybody reads, and costs a highlighter too much.
_MAX_LINE_CHARS = 2000
#: Highlighting takes about 2 ms for each KB.
_MAX_HIGHLIGHTED_BYTES = 32 * 1024
#: Endings whose highlighting is worth its time.
_LANGUAGES = (".py", ".json", ".yaml", ".yml", ".toml", ".md", ".cfg", ".ini", ".sh", ".c", ".cpp", ".h")


@dataclasses.dataclass(frozen=True)
class ShownFile:
    """A file and what is shown of it; ``note`` says why that is not all of it, or nothing."""

    name: str
    n_bytes: int
    content: SafeString | None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class ShownFiles:
    """The files of a folder; ``note`` says what is not among them."""

    files: list[ShownFile]
    note: str = ""


def shown_files(folder: Path) -> ShownFiles:
    """What is shown of a submission's files, by name."""
    try:
        paths = sorted(path for path in folder.iterdir() if stat.S_ISREG(path.lstat().st_mode))
    except OSError:
        return ShownFiles([], "The files are not on the shared disk, or it cannot be read at the moment.")
    n_read = 0
    shown = []
    for path in paths[:MAX_FILES]:
        file = _shown(path, n_read)
        n_read += min(file.n_bytes, MAX_SHOWN_BYTES) if file.content is not None else 0
        shown.append(file)
    more = len(paths) - MAX_FILES
    return ShownFiles(shown, f"And {more} more files." if more > 0 else "")


def _shown(path: Path, n_read: int) -> ShownFile:
    """A file, of which less is shown the more was read of those before it."""
    name = harmless(path.name)
    max_bytes = min(MAX_SHOWN_BYTES_IN_ALL - n_read, MAX_SHOWN_BYTES)
    try:
        n_bytes = path.lstat().st_size
        if max_bytes <= 0:
            return ShownFile(name, n_bytes, None, "Not shown: there is so much of the others.")
        with open(path, "rb", opener=_no_link) as stream:
            content = stream.read(max_bytes)
    except OSError:
        return ShownFile(name, 0, None, "It cannot be read at the moment.")
    if b"\0" in content:
        return ShownFile(name, n_bytes, None, "A binary file, which is not shown.")
    is_cut = n_bytes > len(content)
    try:
        # The last character may be cut in two.
        text = harmless(content.decode("utf-8", "ignore" if is_cut else "strict"))
    except UnicodeDecodeError:
        return ShownFile(name, n_bytes, None, "Not text in UTF-8, and not shown.")
    is_colourful = n_read + len(content) <= _MAX_HIGHLIGHTED_BYTES and path.name.endswith(_LANGUAGES)
    note = f"The first {len(content) // 1024} KB are shown." if is_cut else ""
    return ShownFile(name, n_bytes, _highlighted(path.name, text) if is_colourful else escape(text), note)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _highlighted(name: str, text: str) -> SafeString:
    if any(len(line) > _MAX_LINE_CHARS for line in text.splitlines()):
        return escape(text)
    try:
        lexer = get_lexer_for_filename(name)
    except ClassNotFound:
        return escape(text)
    # The formatter escapes what it is given and writes classes, no styles.
    return mark_safe(str(highlight(text, lexer, HtmlFormatter(nowrap=True))))  # noqa: S308
