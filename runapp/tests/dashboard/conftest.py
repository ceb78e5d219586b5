"""People at their browsers."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from runapp import dispatch
from runapp.models.rights import Role
from runapp.services.accounts import role_give

#: A response of the test client, to which ``context`` is added at run time.
Page = Any


class Reader:
    """Somebody logged in; what is to happen after commit has happened when a page is here."""

    def __init__(self, user: User, commit: Callable[..., Any]) -> None:
        self.user = user
        self.client = Client()
        self.client.force_login(user)
        self._commit = commit

    def get(self, path: str, **query: Any) -> Page:
        return self.client.get(path, query)

    def post(self, path: str, **body: Any) -> Page:
        with self._commit(execute=True):
            return self.client.post(path, body, follow=True)

    def text(self, path: str, **query: Any) -> str:
        page = self.get(path, **query)
        assert page.status_code == 200, page.status_code
        return str(page.content.decode())


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker with empty queues, which nobody has to start."""
    cache.clear()
    monkeypatch.setattr(dispatch, "queue_depth", lambda _: dispatch.QueueDepth(0, 0))


MakeReader = Callable[..., Reader]


@pytest.fixture
def reader(db: None, django_capture_on_commit_callbacks: Any) -> MakeReader:
    def make(name: str, role: Role | None = Role.SUBMITTER, **fields: Any) -> Reader:
        user = User.objects.create(username=name, **fields)
        if role is not None:
            role_give(user, role)
        return Reader(user, django_capture_on_commit_callbacks)

    return make


@pytest.fixture
def staff(reader: MakeReader) -> Reader:
    return reader("root", None, is_staff=True)


@pytest.fixture
def ada(reader: MakeReader) -> Reader:
    """A submitter."""
    return reader("ada")


@pytest.fixture
def eve(reader: MakeReader) -> Reader:
    """Another submitter."""
    return reader("eve")
