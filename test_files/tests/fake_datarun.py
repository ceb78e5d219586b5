"""Small datarun servers on the loopback interface, most of them named for the failure they cause."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

import numpy as np

from runapp.encodings import encode_predictions

USER, PASSWORD = "käthe", "a pässword: €"  # not in Latin-1, and with the character that ends a user's name
MEASURES = (
    "train_time", "validation_time", "test_time", "train_cpu_time", "test_cpu_time",
    "train_memory", "test_memory",
)  # fmt: skip


class Request(NamedTuple):
    method: str
    path: str
    parameters: dict[str, list[str]]
    body: Any


class Answer(NamedTuple):
    status: int
    content: Any
    headers: dict[str, str] = {}


class FakeDatarun:
    """A datarun that splits at once and has each fold trained when it is looked at for the second time."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.data: list[dict[str, Any]] = []
        self.folds: dict[int, dict[str, Any]] = {}
        self.looks = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                url = urlsplit(self.path)
                expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                if self.headers.get("Authorization") != f"Basic {expected}":
                    answer = Answer(
                        401, {"detail": "Invalid username/password.", "code": "not_authenticated"}
                    )
                else:
                    answer = fake.answer(Request(self.command, url.path, parse_qs(url.query), body))
                content = answer.content
                if not isinstance(content, bytes):
                    content = json.dumps(content).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(content)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def use_certificate(self, certificate: Path) -> Self:
        """Speak https, with the certificate and key of a file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")
        return self

    def serve(self) -> Iterator["FakeDatarun"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield self
        self._server.shutdown()
        self._server.server_close()
        thread.join()

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        route = (request.method, request.path.removeprefix("/runapp/"))
        match route:
            case ("GET", ""):
                return Answer(200, {"rawdata": f"{self.url}/runapp/rawdata/"})
            case ("POST", "rawdata/"):
                return self.post_data(request.body)
            case ("GET", "rawdata/"):
                return Answer(200, self.data)
            case ("POST", "rawdata/split/" | "rawdata/customsplit/"):
                self.split(self.data[request.body["raw_data_id"] - 1])
                return Answer(200, {"task_id": "t"})
            case ("POST", "submissionfold/"):
                return self.post_fold(request.body)
            case ("GET", "submissionfold-light/"):
                return self.light_list()
            case ("POST", "testpredictions/list/"):
                asked = request.body["list_submission_fold"]
                return Answer(200, [self.folds[fold_id] for fold_id in asked if fold_id in self.folds])
        return Answer(404, {"detail": "Not found.", "code": "not_found"})

    def post_data(self, body: dict[str, Any]) -> Answer:
        self.data.append({
            "id": len(self.data) + 1, "name": body["name"], "split_state": "NONE", "split_log": "",
        })  # fmt: skip
        return Answer(201, self.data[-1])

    def split(self, data: dict[str, Any]) -> None:
        data.update(split_state="DONE", n_train_rows=12, n_test_rows=3)

    def post_fold(self, body: dict[str, Any]) -> Answer:
        fold_id = body["databoard_sf_id"]
        self.folds[fold_id] = {
            "databoard_sf_id": fold_id, "databoard_s": body["databoard_s_id"], "state": "TODO", "outcome": "",
            "new": True, "log_messages": "", "full_train_predictions": "", "test_predictions": "",
            "full_train_predictions_shape": None, "test_predictions_shape": None,
            **dict.fromkeys(MEASURES, 0.0),
        }  # fmt: skip
        return Answer(201, self.folds[fold_id] | {"task_id": "t"})

    def light_list(self) -> Answer:
        self.looks += 1
        if self.looks > 2:
            for fold in self.folds.values():
                self.finish(fold)
        names = ("databoard_sf_id", "databoard_s", "state", "new")
        return Answer(200, [{name: fold[name] for name in names} for fold in self.folds.values()])

    def finish(self, fold: dict[str, Any]) -> None:
        predictions = np.full((12, 2), float(fold["databoard_sf_id"]))
        fold.update(
            state="TESTED",
            outcome="ok",
            train_time=0.5,
            full_train_predictions=encode_predictions(predictions),
            full_train_predictions_shape=[12, 2],
            test_predictions=encode_predictions(predictions[:3]),
            test_predictions_shape=[3, 2],
        )


class NameIsTaken(FakeDatarun):
    def post_data(self, _body: dict[str, Any]) -> Answer:
        return Answer(400, {"name": ["RawData with this name already exists."]})


class SplitFails(FakeDatarun):
    def split(self, data: dict[str, Any]) -> None:
        data.update(split_state="ERROR", split_log="prepare_data: there is no column 'type'")


class SplitNeverEnds(FakeDatarun):
    def split(self, data: dict[str, Any]) -> None:
        data.update(split_state="TODO")


class OneFoldFails(FakeDatarun):
    def finish(self, fold: dict[str, Any]) -> None:
        if fold["databoard_sf_id"] == min(self.folds):
            fold.update(state="ERROR", outcome="user_error", log_messages="ZeroDivisionError")
        else:
            super().finish(fold)


class FoldsNeverFinish(FakeDatarun):
    def finish(self, fold: dict[str, Any]) -> None:
        pass


class RestartsWhileWaitedFor(FakeDatarun):
    """Its gateway answers for it three times."""

    def light_list(self) -> Answer:
        if self.folds and self.looks < 4:
            self.looks += 1
            return Answer(503, b"<html>Service Unavailable</html>")
        return super().light_list()


class AnswersHtml(FakeDatarun):
    def answer(self, _request: Request) -> Answer:
        return Answer(200, b"<html>It works!</html>")


class HasMoved(FakeDatarun):
    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(301, b"", {"Location": "https://elsewhere.example/"})
