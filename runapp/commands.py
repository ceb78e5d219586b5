"""The command lines of the processes that datarun consists of. No Django."""

import sys

from runapp.contract import RUNNER_QUEUES, Queue

_CELERY = (sys.executable, "-m", "celery", "-A", "datarun")


def web_server(host: str, port: int) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn", "datarun.wsgi:application", "--bind", f"{host}:{port}",
        "--workers", "2", "--threads", "4", "--preload", "--timeout", "120", "--no-control-socket",
    ]  # fmt: skip


def runner(concurrency: int, *, name: str = "runner", queues: tuple[Queue, ...] = RUNNER_QUEUES) -> list[str]:
    """A worker that trains up to ``concurrency`` folds of ``queues`` at a time."""
    return _worker(name, ",".join(queue.value for queue in queues), concurrency)


def master_worker() -> list[str]:
    """The worker that saves what the runners have done, and scores it meanwhile."""
    return _worker("master", Queue.MASTER.value, 2)


def beat() -> list[str]:
    return [*_CELERY, "beat", "--loglevel", "info"]


def _worker(name: str, queues: str, concurrency: int) -> list[str]:
    return [
        *_CELERY, "worker", "--hostname", f"{name}@%h", "--queues", queues, "--concurrency", str(concurrency),
        "--loglevel", "info", "--without-gossip", "--without-mingle",
    ]  # fmt: skip
