"""Pages cost the same however much there is: few queries, and no predictions or indices among them.

How long they take with 100,000 folds is for ``test_files/bench/pages.py`` to measure.
"""

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runapp.models.submission_fold import INDEX_FIELDS, PREDICTION_FIELDS
from test_files.bench.page_rows import PageRows

pytestmark = pytest.mark.services

MAX_QUERIES = 15


def _queries(user: User, path: str) -> list[str]:
    client = Client()
    client.force_login(user)
    client.get(path)  # the broker was asked, and what is asked once a while
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in queries]


def _costs(n_folds: int) -> dict[tuple[str, int], int]:
    """Queries by user and number of the page, whose rows may have other ids; none reads a large column."""
    rows = PageRows(n_folds, n_submissions=n_folds // 100)
    costs = {}
    for user in (rows.staff, rows.organizer, rows.submitter):
        for number, path in enumerate(rows.paths):
            queries = _queries(user, path)
            large = [f'"{name}"' for name in (*PREDICTION_FIELDS, *INDEX_FIELDS)]
            assert not [sql for sql in queries if any(name in sql for name in large)], path
            costs[user.username, number] = len(queries)
    return costs


def test_queries_are_few_and_do_not_grow_with_the_folds(transactional_db: None) -> None:
    few = _costs(100)
    call_command("flush", interactive=False, verbosity=0)
    many = _costs(1000)

    assert few.keys() == many.keys()
    assert not {page: (few[page], many[page]) for page in few if many[page] > few[page]}
    assert max(many.values()) <= MAX_QUERIES
