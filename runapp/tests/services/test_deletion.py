"""What is deleted while it runs is stopped, and brings nothing back."""

from typing import Any

import pytest

from runapp.contract import State
from runapp.exchange import Exchange
from runapp.models import SubmissionFold
from runapp.services.results import save_outcomes
from runapp.tests import factories

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("what", ["fold", "submission", "data set"])
def test_what_is_deleted_while_it_runs_is_stopped(
    exchange: Exchange, django_capture_on_commit_callbacks: Any, what: str
) -> None:
    raw_data = factories.make_raw_data()
    submission = factories.make_submission(raw_data)
    running = factories.make_fold(submission)
    tested = factories.make_fold(submission, state=State.TESTED)

    with django_capture_on_commit_callbacks(execute=True):
        if what == "fold":
            SubmissionFold.objects.all().delete()
        else:
            (submission if what == "submission" else raw_data).delete()

    assert exchange.is_cancelled(running.task_id)
    assert not exchange.is_cancelled(tested.task_id)


def test_the_outcome_of_a_deleted_fold_changes_nothing(exchange: Exchange) -> None:
    fold = factories.make_fold()
    exchange.write_outcome(factories.make_outcome(fold))
    fold.delete()

    assert save_outcomes() == 1

    assert not SubmissionFold.objects.exists()
    assert list(exchange.outcome_files()) == []
