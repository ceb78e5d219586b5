"""The limits of this runner's folds and splits."""

import dataclasses
import os

from runapp.environment import Environment
from runapp.messages import FoldTask
from runapp.runner.job import Limits

#: Without time limits of the worker, a fold and a split are given so long.
DEFAULT_FOLD_SECONDS = 300.0
DEFAULT_SPLIT_SECONDS = 3600.0
DEFAULT_OUTPUT_MB = 64
DEFAULT_SCRATCH_MB = 1024
DEFAULT_PROCESSES = 64

#: The deadline lies so long before the worker's own limit, whose timers are a second late.
_MARGIN_SECONDS = 2.0
_MARGIN_PART = 0.1

#: What a data set may lower, by fields of ``Limits``: the task's field, and its unit in that of ``Limits``.
_OF_DATA_SET = {
    "wall_seconds": ("max_fold_seconds", 1),
    "memory_kb": ("max_memory_mb", 1024),
    "output_max_bytes": ("max_output_mb", 1 << 20),
    "scratch_kb": ("max_scratch_mb", 1024),
    "processes": ("max_processes", 1),
}

TimeLimit = float | None


def run_limits(
    environment: Environment, *, soft: TimeLimit, hard: TimeLimit, default_seconds: float
) -> Limits:
    """Limits from the worker's soft and hard time limits in seconds and from the variables ``DR_FOLD_*``.

    Raises
    ------
    ConfigurationError
        If one of the variables is no whole number.
    """
    of_worker = soft or hard
    wall_seconds = default_seconds
    if of_worker:
        wall_seconds = of_worker - min(_MARGIN_SECONDS, _MARGIN_PART * of_worker)
    return Limits(
        wall_seconds=wall_seconds,
        memory_kb=environment.integer("DR_FOLD_MEMORY_MB", _half_of_machine_mb()) * 1024,
        output_max_bytes=environment.integer("DR_FOLD_OUTPUT_MB", DEFAULT_OUTPUT_MB) << 20,
        scratch_kb=environment.integer("DR_FOLD_SCRATCH_MB", DEFAULT_SCRATCH_MB) * 1024,
        processes=environment.integer("DR_FOLD_PROCESSES", DEFAULT_PROCESSES, minimum=2),
    )


def fold_limits(of_runner: Limits, task: FoldTask) -> Limits:
    """The runner's limits, each lowered to that of the task's data set where that is the lower one."""
    lowered = {}
    for name, (name_in_task, unit) in _OF_DATA_SET.items():
        of_data_set = getattr(task, name_in_task)
        if of_data_set is not None and of_data_set * unit < getattr(of_runner, name):
            lowered[name] = of_data_set * unit
    return dataclasses.replace(of_runner, **lowered, of_runner=of_runner) if lowered else of_runner


def _half_of_machine_mb() -> int:
    return max(1, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (2 * 1024 * 1024))
