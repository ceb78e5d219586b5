"""How the client asks a datarun server: its errors in words, and waiting that pauses ever longer."""

import time
from collections.abc import Callable
from typing import Any

import requests

from test_files import post_api

#: Seconds between two looks at the server: the first, and the longest.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0

#: A gateway whose server is starting or restarting.
_NOT_UP = frozenset({502, 503, 504})


class DatarunClientError(Exception):
    """What was asked of datarun did not succeed; the message has the server's own words.

    ``status_code`` and ``answer`` are those of the server's answer, None where there was none.
    """

    def __init__(self, message: str, *, status_code: int | None = None, answer: Any = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.answer = answer


class ServerNotUp(DatarunClientError):
    """The server does not answer, at least not now."""


class Connection:
    """A datarun server, and the account of a user of it."""

    def __init__(self, host_url: str, username: str, password: str) -> None:
        self.host_url = host_url
        self._account = (host_url, username, password)

    def ask(self, request: Callable[..., requests.Response], *arguments: Any, **options: Any) -> Any:
        """What the server answers to a request of ``post_api``, decoded.

        Raises
        ------
        ServerNotUp
            If there is no answer, or that of a gateway.
        DatarunClientError
            If the server refuses or is not trusted, or the answer is none of datarun's.
        """
        try:
            response = request(*self._account, *arguments, **options)
        except requests.exceptions.SSLError as error:
            raise DatarunClientError(f"no trusted connection to {self.host_url}: {error}") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise ServerNotUp(f"no answer from {self.host_url}: {error}") from error
        except requests.RequestException as error:
            raise DatarunClientError(f"cannot ask {self.host_url}: {error}") from error
        answer = _decoded(response)
        if response.status_code in (200, 201) and answer is not None:
            return answer
        error_class = ServerNotUp if response.status_code in _NOT_UP else DatarunClientError
        words = _words_without_json(response) if answer is None else _words(answer)
        raise error_class(
            f"{response.request.method} {response.url}: {response.status_code}: {words}",
            status_code=response.status_code,
            answer=answer,
        )

    def get(self, path: str, **parameters: Any) -> Any:
        """What the server has at ``path``, below ``/runapp/``."""
        return self.ask(
            lambda host_url, username, password: post_api.send_request(
                "GET", host_url, username, password, path, parameters=parameters
            )
        )

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What the server answers to ``body`` at ``path``, below ``/runapp/``."""
        return self.ask(
            lambda host_url, username, password: post_api.send_request(
                "POST", host_url, username, password, path, body
            )
        )

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """What the server answers to changes at ``path``, below ``/runapp/``."""
        return self.ask(
            lambda host_url, username, password: post_api.send_request(
                "PATCH", host_url, username, password, path, body
            )
        )

    def poll(self, condition: Callable[[], bool], timeout_seconds: float, failure: Callable[[], str]) -> None:
        """Call ``condition`` until it is true, ever less often; a server that is away is waited for, too.

        Raises
        ------
        DatarunClientError
            At the deadline, saying ``failure()``; and whatever else ``condition`` raises, at once.
        """
        deadline = time.monotonic() + timeout_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            away: ServerNotUp | None = None
            try:
                if condition():
                    return
            except ServerNotUp as error:
                away = error
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                because = f": {away}" if away else ""
                raise DatarunClientError(f"{failure()} after {timeout_seconds:g} s{because}") from away
            time.sleep(min(pause, remaining))
            pause = min(1.5 * pause, LONGEST_PAUSE_SECONDS)


def _decoded(response: requests.Response) -> Any:
    """The JSON of a response, or None where it is none."""
    try:
        return response.json()
    except requests.JSONDecodeError:
        return None


def _words(answer: Any) -> str:
    """The server's error in one line: ``name: RawData with this name already exists.``"""
    if isinstance(answer, dict) and "detail" in answer:
        return _words(answer["detail"])
    if isinstance(answer, dict):
        return "; ".join(f"{field}: {_words(reason)}" for field, reason in answer.items())
    if isinstance(answer, list):
        return " ".join(map(_words, answer))
    return str(answer)


def _words_without_json(response: requests.Response) -> str:
    if response.is_redirect:
        return f"it has moved to {response.headers['Location']}"
    return "not an answer of datarun"
