"""What a runner's task hands to whatever runs a fold or a split, and what comes back.

``Launcher`` is the seam: the task knows no processes, a launcher no Celery and no exchange folder.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from runapp.contract import Outcome, State
from runapp.encodings import Indices

#: Most bytes of a traceback or another message that a fold may report.
MAX_LOG_BYTES = 128 * 1024
#: A launcher asks ``is_cancelled`` at least this often.
CANCEL_POLL_SECONDS = 0.2

#: Called with TRAINED and VALIDATED when the fold gets there, and the seconds since the epoch.
OnStage = Callable[[State, float], None]
#: Called with the end of what a fold has printed, about once a second while it prints.
OnOutput = Callable[[str], None]
#: Whether the fold or split must stop now.
IsCancelled = Callable[[], bool]


def nobody_reads(_: str) -> None:
    """An ``OnOutput`` for folds at which nobody looks while they run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What one fold or split may use, its whole process tree together."""

    wall_seconds: float
    memory_kb: int
    #: The end of what it prints, kept for its log; and where it is killed for printing too much.
    output_kept_bytes: int = 64 * 1024
    output_max_bytes: int = 64 * 1024 * 1024
    scratch_kb: int = 1024 * 1024
    processes: int = 64
    #: The runner's own limits where those of the data set lower them; None where these are the runner's own.
    of_runner: "Limits | None" = None

    def whose(self, name: str) -> str:
        """In words, whose limit the field ``name`` is."""
        lowered = self.of_runner is not None and getattr(self, name) < getattr(self.of_runner, name)
        return "this data set" if lowered else "this runner"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldJob:
    """One fold to train and test. The folders are read, never written."""

    #: Folder of the split data: ``train.csv`` and ``test.csv``, or ``specific.py`` and its files.
    data_folder: Path
    #: Folder that holds the submission's files and nothing else, their hash already checked.
    submission_folder: Path
    custom: bool
    workflow_elements: tuple[str, ...]
    target_column: str
    n_train_rows: int
    n_test_rows: int
    #: Training rows by position: shape (n,), dtype int64, not empty, each in ``range(n_train_rows)``.
    train_is: Indices


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitJob:
    """One data set to split into train and test."""

    #: Folder of the uploaded files, read only.
    source_folder: Path
    #: Folder that the split may write. Empty for a standard data set, which gets ``train.csv`` and
    #: ``test.csv`` there; a copy of the source for a custom one, whose ``prepare_data`` runs there.
    working_folder: Path
    custom: bool
    #: Name of the CSV file within ``source_folder``; None for a custom data set.
    data_file: str | None
    target_column: str
    workflow_elements: tuple[str, ...]
    held_out_test: float | None
    random_state: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measures:
    """Seconds of wall clock and of CPU (whole process tree), and peak memory of the fold in kB."""

    train_time: float = 0.0
    validation_time: float = 0.0
    test_time: float = 0.0
    train_cpu_time: float = 0.0
    test_cpu_time: float = 0.0
    train_memory: float = 0.0
    test_memory: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldReport:
    """What became of a fold.

    The predictions are finite, shape (n_rows, ...), dtype float64, for every row of the training
    set and of the test set; None unless ``outcome`` is ``ok``.
    """

    outcome: Outcome
    log_messages: str
    measures: Measures = Measures()
    #: Seconds since the epoch at which the fold got there, None where it did not.
    trained_at: float | None = None
    validated_at: float | None = None
    tested_at: float | None = None
    full_train_predictions: npt.NDArray[np.float64] | None = None
    test_predictions: npt.NDArray[np.float64] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitReport:
    """What became of a split; the numbers of rows are None unless ``outcome`` is ``ok``."""

    outcome: Outcome
    log_messages: str
    n_train_rows: int | None = None
    n_test_rows: int | None = None


class Launcher(Protocol):
    """Runs folds and splits, each bounded by its limits, and leaves nothing of them behind.

    A failure of what runs is a report, never an exception. An ``OSError`` is this machine's fault.
    Whatever else is raised through a run (Celery's soft time limit) ends it at once.
    """

    @property
    def isolation(self) -> str:
        """Level of isolation at which the folds run; ``none`` for a process like any other."""

    def run_fold(
        self,
        job: FoldJob,
        limits: Limits,
        *,
        on_stage: OnStage,
        is_cancelled: IsCancelled,
        on_output: OnOutput = nobody_reads,
    ) -> FoldReport: ...

    def run_split(self, job: SplitJob, limits: Limits, *, is_cancelled: IsCancelled) -> SplitReport: ...
