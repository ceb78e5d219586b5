"""Several callers and savers at the same moment, each with a connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from runapp.contract import State
from runapp.errors import InvalidInput
from runapp.exchange import Exchange
from runapp.models import Submission, SubmissionFold
from runapp.services.folds import FoldRequest, fold_submit
from runapp.services.predictions import predictions_new
from runapp.services.results import save_outcomes
from runapp.tests import factories
from runapp.tests.conftest import SentTask

pytestmark = pytest.mark.django_db(transaction=True)

N_CALLERS, N_FOLDS = 4, 40
Result = TypeVar("Result")


def at_once(act: Callable[[int], Result]) -> list[Result]:
    """Run ``act`` in several threads that start together; what each returned."""
    barrier = threading.Barrier(N_CALLERS)

    def run(number: int) -> Result:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(N_CALLERS) as pool:
        return list(pool.map(run, range(N_CALLERS), timeout=60))


@pytest.fixture
def user() -> User:
    return factories.make_account("ada")


@pytest.fixture
def tested_folds(user: User) -> set[int]:
    submission = factories.make_submission()
    return {factories.make_fold(submission, state=State.TESTED).pk for _ in range(N_FOLDS)}


def test_callers_at_the_same_moment_never_get_the_same_fold(user: User, tested_folds: set[int]) -> None:
    def ask(_: int) -> list[int]:
        folds: list[SubmissionFold] = []
        for _attempt in range(3):
            folds += predictions_new(by=user, raw_data_id=None, errors=False, ack=True)
        return [fold.pk for fold in folds]

    handed_out = [number for answer in at_once(ask) for number in answer]

    assert sorted(handed_out) == sorted(tested_folds)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer at a time")
def test_a_caller_passes_over_what_another_one_is_being_given(user: User, tested_folds: set[int]) -> None:
    given, asked = threading.Event(), threading.Event()

    def hold(_: int) -> list[int]:
        try:
            with transaction.atomic():
                folds = predictions_new(by=user, raw_data_id=None, errors=False, ack=True)
                given.set()
                assert asked.wait(30)
            return [fold.pk for fold in folds]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(hold, 0)
        assert given.wait(30)
        second = predictions_new(by=user, raw_data_id=None, errors=False, ack=True)
        asked.set()
        assert set(first.result(30)) == tested_folds

    assert second == []


def test_savers_at_the_same_moment_write_each_outcome_once(exchange: Exchange) -> None:
    submission = factories.make_submission()
    for _ in range(N_FOLDS):
        exchange.write_outcome(factories.make_outcome(factories.make_fold(submission)))

    at_once(lambda _: save_outcomes())

    assert SubmissionFold.objects.filter(state=State.TESTED).count() == N_FOLDS
    assert list(exchange.outcome_files()) == []


@pytest.mark.parametrize("same_fold", [True, False])
def test_one_submission_posted_at_the_same_moment_is_there_once(
    user: User, sent_tasks: list[SentTask], same_fold: bool
) -> None:
    raw_data = factories.make_raw_data()
    rows = factories.encoded_indices([0])

    def post(number: int) -> bool:
        request = FoldRequest(
            fold_id=1 if same_fold else number,
            submission_id=1,
            train_is=rows,
            test_is=rows,
            raw_data_id=raw_data.pk,
            files=factories.encoded_files({"classifier.py": factories.CLASSIFIER}),
        )
        try:
            fold_submit(request, owner=user)
        except InvalidInput:
            return False
        return True

    accepted = at_once(post)

    n_folds = 1 if same_fold else N_CALLERS
    assert sum(accepted) == n_folds
    assert Submission.objects.count() == 1
    assert len({task.task_id for task in sent_tasks}) == SubmissionFold.objects.count() == n_folds
