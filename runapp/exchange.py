"""What master and runners exchange through the shared disk. No Django, no database.

Everything lies in one folder next to the submissions (``Environment.exchange_folder``)::

    outcomes/<task_id>.json    written once by a runner, read and removed by the master
    marks/<task_id>.json       a running task's lease and sign of life, rewritten by its runner
    outputs/<task_id>          the end of what a running fold has printed, while it prints
    cancelled/<task_id>        written by the master: this task must not run (any more)
    runners/<runner>.json      what each runner says of itself, rewritten every few seconds
    drained/<host>             written by the master: runners of this host take no tasks
    clock                      since when the master has been looking at the marks without a gap
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

from runapp.errors import InvalidMessage
from runapp.messages import FoldMark, FoldOutcome, Mark, RunnerMark, SplitMark, SplitOutcome

#: Outcome files larger than this are not read: predictions of 50 million numbers stay below it.
MAX_OUTCOME_BYTES = 1 << 30
#: A mark is a few hundred bytes; of a larger file no more than this is read.
MAX_MARK_BYTES = 1 << 16
#: Of what a running fold prints no more is written or read.
MAX_OUTPUT_BYTES = 16 * 1024

_RUNNER_NAME = re.compile(r"[A-Za-z0-9_@%+-][A-Za-z0-9_.@%+-]{0,199}")
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


def _encoded(mark: Mark | RunnerMark) -> bytes:
    return json.dumps(mark.to_message(), allow_nan=False).encode()


def _names(folder: Path) -> list[str]:
    """Names of the files that are there for good."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def _file_name(name: str) -> str:
    """The name of a runner or host as that of a file."""
    if not _RUNNER_NAME.fullmatch(name):
        raise InvalidMessage(f"{name[:60]!r} is not the name of a runner or host")
    return name


def _plain(task_id: str) -> str:
    """A task id comes from the broker or a file name: it must never lead out of the folder."""
    if not _TASK_ID.fullmatch(task_id):
        raise InvalidMessage(f"{task_id[:60]!r} is not a task id")
    return task_id


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


class Exchange:
    """The exchange folder. Its methods raise ``OSError`` where the shared disk is gone, full or read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Make the folder on a fresh disk, which only the master does."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def _place(self, kind: str, task_id: str, suffix: str = "") -> Path:
        name = f"{_plain(task_id)}{suffix}"
        return self._folder(kind) / name

    def _folder(self, kind: str) -> Path:
        # Only `make` makes the exchange folder itself: where the shared disk is gone, what is written in
        # its place would be lost.
        folder = self.folder / kind
        folder.mkdir(exist_ok=True)
        return folder

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
        os.replace(path, self._folder("rejected") / path.name)

    # Marks

    def claim_mark(self, mark: Mark) -> bool:
        """Write the mark of a task that has none; tells whether it had none."""
        try:
            with open(self._place("marks", mark.task_id, ".json"), "xb") as stream:
                stream.write(_encoded(mark))
        except FileExistsError:
            return False
        return True

    def write_mark(self, mark: Mark) -> None:
        """Renew a mark, which sets its modification time by the clock of the disk."""
        write_atomically(self._place("marks", mark.task_id, ".json"), _encoded(mark), durable=False)

    def read_mark(self, task_id: str) -> Mark | None:
        """The sign of life of a running task, or None where there is none that can be read."""
        try:
            found = self.find_mark(task_id)
        except InvalidMessage:
            return None
        return found[0] if found else None

    def find_mark(self, task_id: str) -> tuple[Mark | None, float] | None:
        """A task's mark (None if it cannot be read) and its last heartbeat by the clock of the disk, in
        seconds since the epoch; None where there is no mark."""
        return self._read_mark(self._place("marks", task_id, ".json"))

    def marked_task_ids(self) -> list[str]:
        """Ids of the tasks that have a mark."""
        ids = (name.removesuffix(".json") for name in _names(self.folder / "marks"))
        return [task_id for task_id in ids if _TASK_ID.fullmatch(task_id)]

    @staticmethod
    def _read_mark(path: Path) -> tuple[Mark | None, float] | None:
        try:
            with open(path, "rb") as stream:
                modified_at = os.fstat(stream.fileno()).st_mtime
                message = json.loads(stream.read(MAX_MARK_BYTES))
            is_split = isinstance(message, dict) and message.get("kind") == SplitMark.kind
            return (SplitMark if is_split else FoldMark).from_message(message), modified_at
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, InvalidMessage):
            return None, modified_at

    def has_mark(self, task_id: str) -> bool:
        return self._place("marks", task_id, ".json").exists()

    def remove_mark(self, task_id: str) -> None:
        self._place("marks", task_id, ".json").unlink(missing_ok=True)

    # What running folds print

    def write_output(self, task_id: str, text: str) -> None:
        """Show the end of what a running task has printed."""
        content = text.encode("utf-8", "replace")[-MAX_OUTPUT_BYTES:]
        write_atomically(self._place("outputs", task_id), content, durable=False)

    def read_output(self, task_id: str) -> str:
        """The end of what a running task has printed, as a stranger's text; empty where there is nothing."""
        path = self.folder / "outputs" / _plain(task_id)
        try:
            with open(path, "rb", opener=_no_link) as stream:
                return stream.read(MAX_OUTPUT_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def remove_output(self, task_id: str) -> None:
        self._place("outputs", task_id).unlink(missing_ok=True)

    # The clock of the disk

    def now(self) -> float:
        """Seconds since the epoch by the clock of the disk, by which modification times are.

        Raises ``OSError`` if the disk cannot be written.
        """
        probe = self.folder / f".probe.{uuid.uuid4().hex}"
        try:
            probe.write_bytes(b"now")
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def watch(self, *, gap_seconds: float) -> tuple[float, float]:
        """Note that the master looks at the marks now.

        Returns
        -------
        now, since: float
            The time by the clock of the disk, and since when no two looks were further apart than
            ``gap_seconds``. While the master was away or the disk was gone, heartbeats may be missing
            of runners that are well.
        """
        now = self.now()
        place = self.folder / "clock"
        try:
            last, since = place.stat().st_mtime, float(place.read_text())
        except (FileNotFoundError, ValueError):
            last = since = now
        # Another master may have looked between our two: then the last look lies after now.
        if abs(now - last) > gap_seconds:
            since = now
        write_atomically(place, str(since).encode(), durable=False)
        return now, since

    def watched_at(self) -> float | None:
        """When the master looked at the marks last, by the clock of the disk; None for never."""
        try:
            return (self.folder / "clock").stat().st_mtime
        except FileNotFoundError:
            return None

    # Runners

    def write_runner(self, mark: RunnerMark) -> None:
        place = self._folder("runners") / f"{_file_name(mark.runner)}.json"
        write_atomically(place, _encoded(mark), durable=False)

    def runners(self) -> Iterator[tuple[RunnerMark, float]]:
        """What each runner said last, and when by the clock of the disk."""
        for name in sorted(_names(self.folder / "runners")):
            try:
                with open(self.folder / "runners" / name, "rb") as stream:
                    modified_at = os.fstat(stream.fileno()).st_mtime
                    yield RunnerMark.from_message(json.loads(stream.read(MAX_MARK_BYTES))), modified_at
            except (FileNotFoundError, ValueError, RecursionError, InvalidMessage):
                continue  # gone meanwhile, or of another release

    def drain(self, host: str) -> None:
        """Have the runners of a host take no tasks until ``resume``."""
        (self._folder("drained") / _file_name(host)).touch()

    def resume(self, host: str) -> bool:
        """Undo ``drain``; tells whether the host was drained."""
        try:
            (self.folder / "drained" / _file_name(host)).unlink()
        except FileNotFoundError:
            return False
        return True

    def is_drained(self, host: str) -> bool:
        return (self.folder / "drained" / _file_name(host)).exists()

    def forget_host(self, host: str) -> list[str]:
        """Remove what the runners of a host said, and that it was drained; returns the runners' names."""
        gone = [mark.runner for mark, _ in self.runners() if mark.host == host]
        for runner in gone:
            (self.folder / "runners" / f"{_file_name(runner)}.json").unlink(missing_ok=True)
        self.resume(host)
        return gone

    # Cancelled tasks

    def cancel(self, task_id: str) -> None:
        """Tell every runner that this task must not run, or must stop."""
        write_atomically(self._place("cancelled", task_id), b"", durable=False)

    def allow(self, task_id: str) -> None:
        """Undo ``cancel``, for a task that the database says must run."""
        self._place("cancelled", task_id).unlink(missing_ok=True)

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
