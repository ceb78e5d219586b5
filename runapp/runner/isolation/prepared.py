"""Prepared data sets on this host: made once per data set version, then opened by every fold.

Each lies in a folder named by what it was made from. Whoever comes first prepares it under a lock, the
others wait. What was not used for longest is removed when all together grow too large; folds that have a
removed file open keep it.
"""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from runapp.runner.isolation import labels, packages
from runapp.runner.job import FoldJob

#: Changes with the form of the prepared files.
_FORMAT = 1
DATA_FILE, LABELS_FILE = "data", "labels"
_LIBRARIES = ("numpy", "pandas")


@dataclasses.dataclass(frozen=True)
class PreparedData:
    """Folder of one prepared data set: ``data``, and for a standard one ``labels``."""

    folder: Path

    def open_data(self) -> int:
        """Descriptor of the data, read only."""
        return os.open(self.folder / DATA_FILE, os.O_RDONLY | os.O_CLOEXEC)

    def labels(self, n_rows: int) -> labels.Labels:
        """Labels of all ``n_rows`` rows of the training set; errors as ``labels.open_labels``."""
        return _labels_of(self.folder / LABELS_FILE, n_rows)


class PreparedDataSets:
    """The prepared data sets below ``folder``, at most about ``max_bytes`` of them."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def get(self, job: FoldJob, prepare: Callable[[Path], None]) -> PreparedData:
        """The job's data set, made by ``prepare(folder)`` where it is not there yet.

        ``prepare`` fills an empty folder, and raises where it cannot: nothing is kept then.
        """
        name = _name(job)
        place = self._folder / name
        if not place.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._locked(name):
                if not place.exists():
                    self._make_room()
                    self._prepare(place, prepare)
        with contextlib.suppress(FileNotFoundError):
            os.utime(place)
        return PreparedData(place)

    def _prepare(self, place: Path, prepare: Callable[[Path], None]) -> None:
        beside = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
        beside.mkdir(mode=0o700)
        try:
            prepare(beside)
            beside.rename(place)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with open(self._folder / f".{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_room(self) -> None:
        used = 0
        places = [place for place in self._folder.iterdir() if not place.name.startswith(".")]
        for place in sorted(places, key=lambda place: place.stat().st_mtime, reverse=True):
            used += sum(file.stat().st_size for file in place.iterdir())
            if used > self._max_bytes:
                shutil.rmtree(place, ignore_errors=True)


@functools.lru_cache(maxsize=4)
def _labels_of(path: Path, n_rows: int) -> labels.Labels:
    return labels.open_labels(path, n_rows)


def _name(job: FoldJob) -> str:
    """Made of the data folder and its files' times, which never change for a version, and of the parser."""
    files = [
        (entry.name, entry.stat().st_mtime_ns, entry.stat().st_size) for entry in os.scandir(job.data_folder)
    ]
    origin = (_FORMAT, str(job.data_folder), sorted(files), job.custom, job.target_column, job.n_train_rows)
    libraries = packages.versions(*_LIBRARIES)
    return hashlib.sha256(repr((origin, job.n_test_rows, libraries, sys.version)).encode()).hexdigest()[:32]
