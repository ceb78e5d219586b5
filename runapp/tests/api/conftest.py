"""A caller of the API."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from runapp.tests import factories

#: A response of the test client, to which ``json()`` is added at run time.
Answer = Any
Commit = Callable[..., AbstractContextManager[Any]]


class Caller:
    """Sends requests as one user; what is to happen after commit has happened when an answer is here."""

    def __init__(self, user: User, commit: Commit) -> None:
        self.user = user
        self.client = APIClient()
        self.client.force_authenticate(user)
        self._commit = commit

    def get(self, path: str, **query: Any) -> Answer:
        return self.client.get(f"/runapp/{path}", query)

    def post(self, path: str, body: Any, **options: Any) -> Answer:
        """Post ``body`` as JSON; text and bytes go as they are."""
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        options.setdefault("content_type", "application/json")
        with self._commit(execute=True):
            return self.client.post(f"/runapp/{path}", content, **options)

    def post_fold(self, **changes: Any) -> Answer:
        """Post a fold of a new submission; a change to None leaves a field out."""
        body = {
            "databoard_sf_id": 11,
            "databoard_s_id": 1,
            "train_is": factories.encoded_indices([0, 1, 2]),
            "test_is": factories.encoded_indices([3, 4]),
            "files": factories.encoded_files({"classifier.py": factories.CLASSIFIER}),
        } | changes
        return self.post("submissionfold/", {k: v for k, v in body.items() if v is not None})

    def post_data(self, **changes: Any) -> Answer:
        """Post a standard data set of one CSV file."""
        body = {
            "name": "iris",
            "target_column": "species",
            "workflow_elements": "classifier",
            "files": factories.encoded_files({"anything.csv": factories.CSV}),
        } | changes
        return self.post("rawdata/", {k: v for k, v in body.items() if v is not None})


@pytest.fixture
def api(db: None, django_capture_on_commit_callbacks: Commit) -> Caller:
    user = factories.make_account("ada")
    user.get_all_permissions()  # kept by this object, which all requests of the test are made with
    return Caller(user, django_capture_on_commit_callbacks)
