"""Harm done to processes and files of a running datarun."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from test_files.processes import Process, wait_until
from test_files.services import Services


def pool_children(worker: Process) -> list[psutil.Process]:
    """The processes of a worker that run its tasks."""
    return psutil.Process(worker.pid).children()


def fold_processes(worker: Process) -> list[psutil.Process]:
    """The processes of the folds that a worker runs now."""
    found = []
    for child in pool_children(worker):
        try:
            found += child.children(recursive=True)
        except psutil.NoSuchProcess:
            continue  # replaced meanwhile
    return found


def kill_fold(worker: Process) -> None:
    """Kill the processes of a fold that a worker runs, as soon as it runs one."""
    wait_until(lambda: fold_processes(worker), seconds=60, what="the start of a fold")
    _kill(fold_processes(worker))


def kill_pool_child(worker: Process) -> None:
    """Kill the process of a worker that runs its tasks, while it runs one."""
    wait_until(lambda: fold_processes(worker), seconds=60, what="the start of a fold")
    _kill(pool_children(worker))


def kill_main_process(process: Process) -> None:
    """Kill a process alone: its children find out by themselves."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def wipe_queues(services: Services) -> None:
    """Take from RabbitMQ, which is stopped, all it knows."""
    shutil.rmtree(services.folder / "rabbitmq" / "mnesia")


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """A folder that is gone, as that of a disk is which is no longer mounted."""
    elsewhere = folder.with_name(f"{folder.name}-away")
    folder.rename(elsewhere)
    try:
        yield
    finally:
        if folder.exists():
            raise AssertionError(f"{folder} was made anew while the disk was gone")
        elsewhere.rename(folder)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue  # it ended by itself
