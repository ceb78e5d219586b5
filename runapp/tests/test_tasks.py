"""Celery's side: names, queues, and the doors to the services."""

import subprocess
import sys
from pathlib import Path

import pytest

from datarun.celery import app
from runapp import dispatch
from runapp.contract import RUNNER_QUEUES, Queue, State, TaskName
from runapp.environment import BASE_DIR
from runapp.result_backends import AtomicFilesystemBackend
from runapp.tests import factories


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["save_submission_fold_db", "sweep"])
def test_saving_tasks_save_what_is_there(name: str) -> None:
    from runapp import tasks

    fold = factories.make_fold()
    dispatch.exchange().write_outcome(factories.make_outcome(fold))

    getattr(tasks, name)()

    fold.refresh_from_db()
    assert fold.state == State.TESTED


def test_the_tasks_have_the_names_people_look_for() -> None:
    from runapp import tasks

    assert tasks.train_test_submission_fold.name == TaskName.FOLD
    assert tasks.split_train_test.name == TaskName.SPLIT
    assert tasks.train_test_submission_fold.AsyncResult("x").id == "x"


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        (TaskName.FOLD, Queue.LOW), (TaskName.SPLIT, Queue.SPLIT), (TaskName.SAVE, Queue.MASTER),
        (TaskName.SWEEP, Queue.MASTER),
    ],
)  # fmt: skip
def test_each_task_has_its_queue(task: TaskName, queue: Queue) -> None:
    assert app.amqp.router.route({}, task.value)["queue"].name == queue.value


def test_celery_is_set_up_for_long_tasks_and_reads_json_alone() -> None:
    configuration = app.conf

    assert configuration.task_acks_late is True
    assert configuration.worker_prefetch_multiplier == 1
    assert configuration.accept_content == ["json"]
    assert Queue.MASTER not in RUNNER_QUEUES
    assert configuration.beat_schedule["sweep"]["task"] == TaskName.SWEEP


def test_tasks_can_be_imported_in_a_plain_python(tmp_path: Path) -> None:
    code = "from runapp import tasks; print(tasks.sweep.name)"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR, env={"DR_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.stdout.strip() == TaskName.SWEEP, ended.stderr


def test_a_result_on_disk_is_replaced_whole(tmp_path: Path) -> None:
    backend = AtomicFilesystemBackend(app=app, url=f"file://{tmp_path}")
    for state in ("STARTED", "SUCCESS"):
        backend.store_result("1", {"state": "TESTED"}, state)
        assert backend.get_state("1") == state

    assert [path.name for path in tmp_path.iterdir()] == ["celery-task-meta-1"]
