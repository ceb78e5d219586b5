"""The examples of ``/docs/`` work when pasted: a shell and Python run them against a live server."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client
from pytest_django.live_server_helper import LiveServer
from rest_framework.authtoken.models import Token

from runapp.api.examples import EXAMPLES
from runapp.contract import SplitState, State
from runapp.environment import Environment
from runapp.services.files import write_folder
from runapp.tests import factories

pytestmark = [pytest.mark.django_db(transaction=True)]

_SECONDS = 60


@pytest.fixture
def reader(client: Client, environment: Environment) -> Client:
    """An organizer who reads the page, with a data set that is split, a custom one, and folds."""
    user = factories.make_account("ada")
    client.force_login(user)
    Token.objects.create(user=user, key="a" * 40)
    raw_data = factories.make_raw_data(SplitState.DONE, n_train_rows=10, n_test_rows=10, scorer="r2")
    custom = factories.make_raw_data(SplitState.NONE, custom=True)
    write_folder(environment.dir_data / custom.source_folder, {"specific.py": factories.SPECIFIC})
    submission = factories.make_submission(raw_data)
    factories.make_fold(submission, state=State.TESTED)
    factories.make_fold(submission)
    return client


def operations(reader: Client, address: str) -> dict[tuple[str, str], dict[str, Any]]:
    host = address.removeprefix("http://")
    schema = reader.get("/schema/", headers={"accept": "application/json", "host": host}).json()
    return {
        (method, path): operation
        for path, found in schema["paths"].items()
        for method, operation in found.items()
    }


def paste(source: str, language: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", source] if language == "Shell" else [sys.executable, "-c", source]
    environment = os.environ | {"DATARUN_TOKEN": "a" * 40, "NO_PROXY": "*", "no_proxy": "*"}
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, env=environment)


def test_every_operation_has_an_example(reader: Client) -> None:
    found = operations(reader, "http://testserver")

    assert {*found} == {*EXAMPLES}
    for operation in found.values():
        for sample in operation["x-codeSamples"]:
            assert sample["source"] in operation["description"]


@pytest.mark.parametrize("language", ["Shell", "Python"])
@pytest.mark.parametrize("called", EXAMPLES, ids=lambda called: " ".join(called))
def test_an_example_works_when_pasted(
    reader: Client, live_server: LiveServer, called: tuple[str, str], language: str
) -> None:
    operation = operations(reader, live_server.url)[called]
    (source,) = [s["source"] for s in operation["x-codeSamples"] if s["lang"] == language]

    ended = paste(source, language)

    assert ended.returncode == 0, ended
    answer = json.loads(ended.stdout) if language == "Shell" else eval(ended.stdout)  # noqa: S307 - our own
    shown = next(
        response["content"]["application/json"]["example"]
        for code, response in operation["responses"].items()
        if code < "300"
    )
    if isinstance(shown, list):
        shown = shown[0] if answer else {}
        answer = answer[0] if answer else {}
    assert {*shown} <= {*answer}, answer


def test_the_page_tries_operations_out_with_the_readers_session(reader: Client) -> None:
    page = reader.get("/docs/").content.decode()
    script = reader.get("/docs/?script=").content.decode()

    assert "csrf" in (page + script).lower()
    for text in (page, script):
        assert "https://" not in text.replace("https://testserver", "")
