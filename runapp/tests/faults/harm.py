"""Harm done to processes and files of a running datarun."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from test_files.processes import Process, wait_until
from test_files.services import Services
from test_files.stack import Stack

_START_SECONDS = 60.0


def running_mark(stack: Stack, runner: Process) -> Path:
    """The mark of a fold that a runner runs now; waits until it runs one."""
    found: list[Path] = []

    def look() -> bool:
        found[:] = [path for path in marks(stack) if _runner(path).startswith(f"{runner.name}@")]
        return bool(found)

    wait_until(look, seconds=_START_SECONDS, what=f"the start of a fold on {runner.name}")
    return found[0]


def marks(stack: Stack) -> list[Path]:
    """The marks of the folds that run now."""
    return list((stack.exchange_folder / "marks").glob("[!.]*.json"))


def _runner(mark: Path) -> str:
    try:
        return str(json.loads(mark.read_text())["runner"])
    except (FileNotFoundError, ValueError):
        return ""  # it ended meanwhile, or begins


def pool_children(worker: Process) -> list[psutil.Process]:
    """The living processes of a worker that run its tasks."""
    found = []
    for child in psutil.Process(worker.pid).children():
        with contextlib.suppress(
            psutil.NoSuchProcess
        ):  # a fold server that ended is one, too, and not buried yet
            if "celery" in " ".join(child.cmdline()):
                found.append(child)
    return found


def kill_pool_child(stack: Stack, worker: Process) -> None:
    """Kill the process of a worker that runs its tasks, while it runs one."""
    running_mark(stack, worker)
    _kill(pool_children(worker))


def sandbox_process(stack: Stack, name: str) -> psutil.Process:
    """A process of this host's sandbox: ``fold-server``, ``zygote``, ``supervisor`` or ``fold``.

    Raises ``LookupError`` if there is none at the moment.
    """
    for runner in stack.runners:
        for process in psutil.Process(runner.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
                if process.name() == name:
                    return process
    raise LookupError(f"there is no {name}")


def kill_a_fold(stack: Stack) -> None:
    """Kill a fold's own process, as soon as one runs."""
    found: list[psutil.Process] = []

    def look() -> bool:
        with contextlib.suppress(LookupError):
            found.append(sandbox_process(stack, "fold"))
        return bool(found)

    wait_until(look, seconds=_START_SECONDS, what="the start of a fold")
    _kill(found[:1])


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
