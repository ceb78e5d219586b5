"""What all tests share: folders of their own, no broker unless asked for, and the real services."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.db import connection
from pytest_django import Settings

from datarun.celery import app
from runapp import dispatch
from runapp.environment import Environment
from test_files.services import Services, missing_packages
from test_files.stack import Stack

# How long an example takes says more of the machine than of datarun.
hypothesis.settings.register_profile("datarun", deadline=None)
hypothesis.settings.load_profile("datarun")

#: The folder with the pictures that browser tests took.
SCREENSHOTS = pytest.StashKey[Path]()


@pytest.fixture(autouse=True)
def environment(settings: Settings, tmp_path: Path) -> Iterator[Environment]:
    """The master's environment, with folders that only this test uses."""
    own = dataclasses.replace(
        settings.ENVIRONMENT,
        home=tmp_path / "home",
        dir_data=tmp_path / "data",
        dir_submission=tmp_path / "submission",
    )
    settings.ENVIRONMENT = own
    dispatch.exchange.cache_clear()
    yield own
    dispatch.exchange.cache_clear()


@pytest.fixture(autouse=True)
def nothing_counted(settings: Settings, tmp_path: Path) -> None:
    """Counts of log-ins and posts that only this test adds to."""
    own = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": str(tmp_path)}
    settings.CACHES = settings.CACHES | {"counters": own}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """A database for each process that runs tests.

    SQLite in a file, as datarun uses it: one in memory has locks of its own.
    """
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = tmp_path_factory.mktemp("database") / "test.sqlite3"


@dataclasses.dataclass(frozen=True)
class SentTask:
    """A task that was handed to the broker."""

    name: str
    message: dict[str, Any]
    task_id: str
    queue: str


@pytest.fixture(autouse=True)
def sent_tasks(monkeypatch: pytest.MonkeyPatch) -> list[SentTask]:
    """The tasks that this test's master sent, which no broker gets."""
    sent: list[SentTask] = []

    def record(name: str, args: list[Any], *, task_id: str, queue: str, **_: Any) -> None:
        sent.append(SentTask(name, args[0] if args else {}, task_id, queue))

    monkeypatch.setattr(app, "send_task", record)
    return sent


@pytest.fixture(autouse=True)
def no_leaking_variables() -> Iterator[None]:
    """Fail a test that leaves an environment variable behind."""
    before = dict(os.environ)
    yield
    changed = {name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}
    # scikit-learn sets two when it is imported.
    by_itself = {"PYTEST_CURRENT_TEST", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
    assert not changed - by_itself, f"the test changed the environment variables {changed}"


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """PostgreSQL, RabbitMQ and Redis that only these tests use."""
    if missing := missing_packages():
        pytest.skip(f"not installed here: {', '.join(missing)}; bash test_files/run_tests.sh installs them")
    with Services() as services:
        yield services


@pytest.fixture(scope="session")
def stack(services: Services) -> Iterator[Stack]:
    """datarun on real services: gunicorn, two runners, the master's worker and beat as processes."""
    with Stack(services) as stack:
        yield stack


def _group(item: pytest.Item) -> str:
    """Which tests run in the same process, where several run tests: a file's, and all that share a stack."""
    shares_stack = "services" in getattr(item, "fixturenames", ()) and "faults" not in item.path.parts
    return "stack" if shares_stack else item.path.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "services" in getattr(item, "fixturenames", ()):
            item.add_marker("services")
        item.add_marker(pytest.mark.xdist_group(_group(item)))
        if {"integration", "e2e"} & set(item.path.parts):
            item.add_marker("slow")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="where browser tests keep pictures of the pages")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (folder := config.stash.get(SCREENSHOTS, None)) is not None:
        terminalreporter.write_line(f"Pictures of the pages: {folder}")
