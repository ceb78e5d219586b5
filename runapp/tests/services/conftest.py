"""Callers of the services."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from runapp.environment import Environment
from runapp.exchange import Exchange
from runapp.models import SubmissionFold
from runapp.services.folds import FoldRequest, fold_submit, force_parse
from runapp.tests import factories
from runapp.tests.services.scored_data import MakeData, iris_in

Submit = Callable[..., SubmissionFold]


@pytest.fixture
def owner(db: None) -> User:
    return factories.make_account("ada")


@pytest.fixture
def exchange(environment: Environment) -> Exchange:
    """What master and runners share, as a runner sees it."""
    exchange = Exchange(environment.exchange_folder)
    exchange.make()
    return exchange


@pytest.fixture
def submit(owner: User, django_capture_on_commit_callbacks: Any) -> Submit:
    """Post fold 11 of submission 1, or what ``changes`` say; what follows a commit has happened then."""

    def post(*, force: str = "", files: dict[str, bytes] | None = None, **changes: Any) -> SubmissionFold:
        values: dict[str, Any] = {
            "fold_id": 11,
            "submission_id": 1,
            "train_is": factories.encoded_indices([0, 1]),
            "test_is": factories.encoded_indices([2]),
            "files": None if files is None else factories.encoded_files(files),
            "force": force_parse(force),
        }
        with django_capture_on_commit_callbacks(execute=True):
            fold = fold_submit(FoldRequest(**values | changes), owner=owner)
        fold.refresh_from_db()
        return fold

    return post


@pytest.fixture
def iris(environment: Environment) -> MakeData:
    return iris_in(environment)
