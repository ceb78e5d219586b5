"""Celery's doors to the services, and the names of all tasks: ``from runapp import tasks``.

Works in a plain Python, too, which has set up no Django.
"""

from celery import signals
from django.db import close_old_connections

from datarun.celery import app, set_up_master

set_up_master()

from runapp import dispatch  # noqa: E402
from runapp.contract import TaskName  # noqa: E402 - models can be imported only now
from runapp.runner.tasks import split_train_test, train_test_submission_fold  # noqa: E402
from runapp.services import housekeeping, recovery, results  # noqa: E402

__all__ = [
    "clean",
    "recover",
    "save_submission_fold_db",
    "score",
    "split_train_test",
    "sweep",
    "train_test_submission_fold",
]


@signals.worker_init.connect
def _make_exchange(**_: object) -> None:
    dispatch.exchange()  # runners take no tasks before its folder is there


# As Django does around a request: a connection that the database has closed is opened anew.
signals.task_prerun.connect(close_old_connections)
signals.task_postrun.connect(close_old_connections)


@app.task(name=TaskName.SAVE.value, ignore_result=True)
def save_submission_fold_db() -> int:
    """Save what runners have put on the shared disk; a runner rings for it after each fold."""
    n_files = results.save_outcomes()
    recovery.ask_for_scores()
    return n_files


@app.task(name=TaskName.SWEEP.value, ignore_result=True)
def sweep() -> None:
    """What beat asks for each period: save, whether or not a ring was heard."""
    recovery.recover()


@app.task(name=TaskName.RECOVER.value, ignore_result=True)
def recover() -> None:
    """What beat asks for every few seconds, and a runner that knows of a lost fold."""
    recovery.recover()


@app.task(name=TaskName.SCORE.value, ignore_result=True)
def score() -> None:
    """Describe data sets that were split, and score folds that are finished: a slice, and then the next."""
    # Only a worker that scores pays for scikit-learn and pandas: a second and 80 MB.
    from runapp.services import descriptions, scores

    descriptions.describe_what_is_due()
    if scores.score_what_is_due():
        recovery.ask_for_scores()


@app.task(name=TaskName.CLEAN.value, ignore_result=True)
def clean() -> int:
    """What beat asks for every hour: remove what nobody needs from the shared disk."""
    return housekeeping.clean()
