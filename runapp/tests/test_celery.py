"""The Celery application: a worker takes its queues with their tasks, or does not start."""

import subprocess
import sys

import pytest

from datarun import celery
from runapp.contract import TaskName
from runapp.environment import BASE_DIR


def test_a_worker_that_cannot_import_its_tasks_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "runapp.runner.tasks", None)
    monkeypatch.setattr("runapp.embedded.start_broker", lambda _: None)
    with pytest.raises(SystemExit, match=r"cannot start.*runapp\.runner\.tasks"):
        celery._import_tasks_of_queues(options={"queues": "L,H"})


def test_a_runner_imports_its_tasks_and_nothing_of_the_database() -> None:
    program = (
        "import sys; from datarun import celery; celery.embedded.start_broker = lambda environment: None\n"
        "celery._import_tasks_of_queues(options={'queues': 'L,H,celery'})\n"
        "print(sorted(name for name in celery.app.tasks if name.startswith('runapp')))\n"
        "print([name for name in sys.modules if name.startswith(('django.db', 'psycopg', 'runapp.models'))])"
    )
    command = [sys.executable, "-c", program]
    lines = subprocess.run(
        command, cwd=BASE_DIR, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert lines == [str(sorted([TaskName.FOLD.value, TaskName.SPLIT.value])), "[]"]
