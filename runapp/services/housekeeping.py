"""What nobody needs any more is removed from the shared disk, long after it was needed last."""

import datetime
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings

from runapp import dispatch
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.submission_fold import UNFINISHED_STATES
from runapp.services.data import DATA_FOLDER

logger = logging.getLogger(__name__)

_DAY_SECONDS = datetime.timedelta(days=1).total_seconds()
#: A folder is written before the row that names it is committed, and what is half-written may go on.
UNUSED_SECONDS = 1 * _DAY_SECONDS
#: Rejected outcome files are for people to look at.
REJECTED_SECONDS = 30 * _DAY_SECONDS
#: A cancelled task may wait long in a queue before a runner sees that it must not run it.
CANCELLED_SECONDS = 30 * _DAY_SECONDS


def clean() -> int:
    """Remove what is unused and old; returns how many files and folders that were.

    Old is by the clock of the disk. What is used: submission versions and data folders that a row
    names, with the version that a running fold may still read; and indices of unfinished folds.
    """
    now = dispatch.exchange().now()
    n_removed = sum(
        _remove(path) for path, seconds in _candidates() if now - _modified_at(path, now) > seconds
    )
    if n_removed:
        logger.info("%d unused files and folders were removed from the shared disk", n_removed)
    return n_removed


def _candidates() -> Iterator[tuple[Path, float]]:
    """What may be removed, and how old it must be."""
    exchange = dispatch.exchange().folder
    yield from ((path, REJECTED_SECONDS) for path in _inside(exchange / "rejected"))
    yield from ((path, CANCELLED_SECONDS) for path in _inside(exchange / "cancelled"))
    yield from ((path, UNUSED_SECONDS) for path in _inside(exchange / "runners"))
    for folder in ("outcomes", "marks", "indices", "outputs"):
        for path in _inside(exchange / folder):
            if path.name.startswith("."):  # half-written by a process that was killed
                yield path, UNUSED_SECONDS
    yield from _unused(_inside(exchange / "indices"), _is_unfinished)
    yield from _unused(_inside(exchange / "outputs"), _is_unfinished)
    # An empty database is more likely a wrong one than one whose every data set was deleted.
    if RawData.objects.exists():
        yield from _unused(_submission_versions(), _is_submission)
        yield from _unused(_data_folders(), _is_data_set)
        yield from _unused(_splits(), _is_split)


def _unused(paths: Iterator[Path], is_used: Callable[[Path], bool]) -> Iterator[tuple[Path, float]]:
    return ((path, UNUSED_SECONDS) for path in paths if not is_used(path))


def _inside(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.iterdir()


def _submission_versions() -> Iterator[Path]:
    for folder in _inside(settings.ENVIRONMENT.dir_submission):
        if folder.name.isdecimal():
            yield from _inside(folder)


def _data_folders() -> Iterator[Path]:
    # Whatever else an administrator keeps there is not ours to remove.
    return (path for path in _inside(settings.ENVIRONMENT.dir_data) if DATA_FOLDER.fullmatch(path.name))


def _splits() -> Iterator[Path]:
    for folder in _data_folders():
        yield from _inside(folder / "splits")


def _is_unfinished(path: Path) -> bool:
    return SubmissionFold.objects.filter(task_id=path.name, state__in=UNFINISHED_STATES).exists()


def _is_submission(path: Path) -> bool:
    return Submission.objects.filter(files_path=f"{path.parent.name}/{path.name}").exists()


def _is_data_set(path: Path) -> bool:
    return RawData.objects.filter(files_path=path.name).exists()


def _is_split(path: Path) -> bool:
    return RawData.objects.filter(split_task_id=path.name).exists()


def _modified_at(path: Path, default: float) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return default


def _remove(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        logger.warning("%s cannot be removed: %s", path, error)
        return False
    return True
