"""What a participant gets to read: their traceback and their output, without this machine's paths."""

import re
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

from runapp.contract import PRINTED_WORDS
from runapp.environment import BASE_DIR

_ENGINE = str(Path(__file__).parent)


def participant_traceback(error: BaseException, max_chars: int) -> str:
    """The traceback without the frames of this engine, at most its last ``max_chars`` characters."""
    summary = traceback.TracebackException.from_exception(error)
    _drop_engine_frames(summary)
    return "".join(summary.format())[-max_chars:]


def _drop_engine_frames(summary: traceback.TracebackException) -> None:
    waiting: list[traceback.TracebackException] = [summary]
    while waiting:
        part = waiting.pop()
        kept = [frame for frame in part.stack if not _is_machinery(frame.filename)]
        part.stack = traceback.StackSummary.from_list(kept)
        waiting += [p for p in (part.__cause__, part.__context__, *(part.exceptions or ())) if p is not None]


def _is_machinery(filename: str) -> bool:
    return filename.startswith((_ENGINE, "<frozen importlib"))


def compose_log(reason: str, printed: str, folders: Iterable[Path]) -> str:
    """Why a run ended, then the end of what it printed, as text that any database and JSON can hold.

    Paths are shown relative to ``folders`` and to those of Python.
    """
    parts = [reason.strip()] if reason.strip() else []
    if printed.strip():
        parts.append(f"{PRINTED_WORDS}\n{printed.strip()}" if parts else printed.strip())
    text = "\n\n".join(parts)
    for folder in sorted(map(str, (*folders, *_machine_folders())), key=len, reverse=True):
        text = text.replace(f"{folder}/", "")
        text = re.sub(rf"{re.escape(folder)}(?![\w.-])", ".", text)
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _machine_folders() -> list[str]:
    paths = sysconfig.get_paths()
    return [paths[name] for name in ("purelib", "platlib", "stdlib", "platstdlib")] + [str(BASE_DIR)]
