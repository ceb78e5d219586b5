"""What master and runners exchange through the shared disk. No Django, no database.

Everything lies in one folder next to the submissions (``Environment.exchange_folder``)::

    outcomes/<task_id>.json    written once by a runner, read and removed by the master
    marks/<task_id>.json       a running fold's sign of life, rewritten by its runner
    cancelled/<task_id>        written by the master: this task must not run (any more)
    indices/<task_id>          encoded training indices too large for the broker
    rejected/                  outcome files the master could not use, kept for people to look at

Files appear by a rename, so no reader ever sees half of one. The disk may be remote (sshfs, NFS):
locks and watches are not relied on.
"""

import json
import os
import re
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from runapp.contract import FoldMark, FoldOutcome, SplitOutcome
from runapp.errors import InvalidMessage

#: Outcome files larger than this are not read: predictions of 50 million numbers stay below it.
MAX_OUTCOME_BYTES = 1 << 30

_TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def write_atomically(path: Path, content: bytes, *, durable: bool) -> None:
    """Write a file beside its place and rename it there; ``durable`` outlives a power cut.

    Raises ``OSError`` (disk full, gone, read-only); nothing is left at ``path`` then.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(beside, "xb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Exchange:
    """The exchange folder, made on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _place(self, kind: str, task_id: str, suffix: str = "") -> Path:
        # A task id comes from the broker or a file name: it must never lead out of the folder.
        if not _TASK_ID.fullmatch(task_id):
            raise InvalidMessage(f"{task_id[:60]!r} is not a task id")
        folder = self.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{task_id}{suffix}"

    # Outcomes

    def write_outcome(self, outcome: FoldOutcome | SplitOutcome) -> None:
        """Put an outcome where the master finds it; when this returns, it is durable."""
        content = json.dumps(outcome.to_message(), allow_nan=False).encode()
        write_atomically(self._place("outcomes", outcome.task_id, ".json"), content, durable=True)

    def outcome_files(self) -> Iterator[Path]:
        """The outcome files there are, in no order."""
        try:
            with os.scandir(self.folder / "outcomes") as entries:
                for entry in entries:
                    if entry.name.endswith(".json") and not entry.name.startswith("."):
                        yield Path(entry.path)
        except FileNotFoundError:
            return

    def has_outcome(self, task_id: str) -> bool:
        return self._place("outcomes", task_id, ".json").exists()

    @staticmethod
    def read_outcome(path: Path) -> FoldOutcome | SplitOutcome:
        """Read one outcome file as untrusted data.

        Raises
        ------
        InvalidMessage
            If it is not an outcome, or not the one its name says.
        OSError
            If another reader was quicker, or the disk fails.
        """
        if not _TASK_ID.fullmatch(path.stem):
            raise InvalidMessage(f"{path.stem[:60]!r} is not a task id")
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise InvalidMessage("not a regular file")
        if status.st_size > MAX_OUTCOME_BYTES:
            raise InvalidMessage(f"larger than {MAX_OUTCOME_BYTES} bytes")
        try:
            message = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise InvalidMessage(f"not JSON: {error}") from None
        is_split = isinstance(message, dict) and message.get("kind") == SplitOutcome.kind
        outcome = (SplitOutcome if is_split else FoldOutcome).from_message(message)
        if path.name != f"{outcome.task_id}.json":
            raise InvalidMessage(f"holds the outcome of the task {outcome.task_id[:60]!r}")
        return outcome

    def reject(self, path: Path) -> None:
        """Put an outcome file aside that cannot be used."""
        folder = self.folder / "rejected"
        folder.mkdir(parents=True, exist_ok=True)
        os.replace(path, folder / path.name)

    # Marks

    def write_mark(self, mark: FoldMark) -> None:
        content = json.dumps(mark.to_message(), allow_nan=False).encode()
        write_atomically(self._place("marks", mark.task_id, ".json"), content, durable=False)

    def read_mark(self, task_id: str) -> FoldMark | None:
        """The sign of life of a running fold, or None where there is none that can be read."""
        try:
            return FoldMark.from_message(json.loads(self._place("marks", task_id, ".json").read_bytes()))
        except (OSError, ValueError, RecursionError, InvalidMessage):
            return None

    def marked_task_ids(self) -> list[str]:
        """Ids of the tasks that have a mark."""
        try:
            return [
                name.removesuffix(".json") for name in os.listdir(self.folder / "marks") if name[0] != "."
            ]
        except FileNotFoundError:
            return []

    def remove_mark(self, task_id: str) -> None:
        self._place("marks", task_id, ".json").unlink(missing_ok=True)

    # Cancelled tasks

    def cancel(self, task_id: str) -> None:
        """Tell every runner that this task must not run, or must stop."""
        write_atomically(self._place("cancelled", task_id), b"", durable=False)

    def is_cancelled(self, task_id: str) -> bool:
        return self._place("cancelled", task_id).exists()

    # Large indices

    def write_indices(self, task_id: str, encoded: str) -> None:
        write_atomically(self._place("indices", task_id), encoded.encode("ascii"), durable=False)

    def read_indices(self, task_id: str) -> str:
        return self._place("indices", task_id).read_text("ascii")

    def forget(self, task_id: str) -> None:
        """Remove what is no longer needed of a task that is over."""
        self._place("indices", task_id).unlink(missing_ok=True)
        self.remove_mark(task_id)
