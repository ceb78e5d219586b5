"""Bodies above the limit are answered with 413, and neither kept nor taken apart."""

import http.client
import json
import threading
import tracemalloc
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from django.test import Client
from pytest_django import Settings

from datarun.wsgi import application
from runapp.tests import factories
from runapp.tests.api.conftest import Caller


@pytest.mark.parametrize("n_bytes", [1000, 1001])
def test_the_limit_is_to_the_byte(api: Caller, settings: Settings, n_bytes: int) -> None:
    settings.MAX_BODY_BYTES = 1000
    body = json.dumps({"a": ""}).encode()
    body = body[:-2] + b"x" * (n_bytes - len(body)) + body[-2:]

    with factories.nothing_written():
        answer = api.post("testpredictions/new/", body)

    assert answer.status_code == (200 if n_bytes == 1000 else 413)


def test_a_body_that_is_too_large_is_refused_before_who_sends_it_is_known(
    client: Client, settings: Settings
) -> None:
    settings.MAX_BODY_BYTES = 10
    answer = client.post("/runapp/rawdata/", b"x" * 11, content_type="application/json")

    assert answer.status_code == 413
    assert answer.json() == {
        "detail": "the body has 11 bytes; this server accepts 10",
        "code": "too_large",
    }


@pytest.mark.parametrize("length", ["many", "-5", ""])
def test_a_length_that_is_none_does_no_harm(client: Client, length: str) -> None:
    answer = client.generic("POST", "/runapp/rawdata/", b"", CONTENT_LENGTH=length)

    assert answer.status_code in (400, 401)


class SilentHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """The test's output is the tests' own."""


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    """Port of a web server that really reads from a socket."""
    with WSGIServer(("127.0.0.1", 0), SilentHandler) as server:
        server.set_app(application)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(10)


def test_200_megabytes_are_refused_and_cost_no_memory(port: int) -> None:
    n_bytes, chunk = 200 * 2**20, b"0" * 2**20
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    tracemalloc.start()
    headers = {"Content-Length": str(n_bytes), "Content-Type": "application/json"}
    connection.request("POST", "/runapp/rawdata/", (chunk for _ in range(200)), headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    connection.close()

    assert answer.status == 413
    assert body["code"] == "too_large"
    assert peak < 20 * 2**20
