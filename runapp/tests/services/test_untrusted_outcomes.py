"""Outcome files are untrusted: whatever one holds, the others are saved, and its fold's last start ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_django import Settings

from runapp.contract import MAX_ATTEMPTS, Outcome, State
from runapp.encodings import encode_bytes, encode_predictions
from runapp.exchange import Exchange
from runapp.models import SubmissionFold
from runapp.services import results
from runapp.tests import factories

pytestmark = pytest.mark.django_db

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def put(exchange: Exchange) -> Callable[[str, bytes], Path]:
    """Puts an outcome file with any name and content where the master looks."""
    folder = exchange.folder / "outcomes"
    folder.mkdir(parents=True, exist_ok=True)

    def put(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return put


@pytest.fixture
def check_neighbour(exchange: Exchange) -> Any:
    """Fail if the outcome of another fold, in the same batch, is not saved."""
    neighbour = factories.make_fold()
    exchange.write_outcome(factories.make_outcome(neighbour))
    yield
    neighbour.refresh_from_db()
    assert neighbour.state == State.TESTED


def with_predictions(array: Any, shape: Any = None, field: str = "test_predictions") -> dict[str, Any]:
    shape = np.shape(array) if shape is None else shape
    return {field: encode_predictions(np.asarray(array)), f"{field}_shape": shape}


BAD_PREDICTIONS = {
    "too few rows": with_predictions(np.zeros((2, 2))),
    "too many rows": with_predictions(np.zeros((7, 2)), field="full_train_predictions"),
    "more numbers than the shape": with_predictions(np.zeros((3, 3)), shape=(3, 2)),
    "fewer numbers than the shape": with_predictions(np.zeros(3), shape=(3, 2)),
    "no numbers": with_predictions(np.zeros((3, 0))),
    "a shape without numbers": with_predictions(np.zeros(0), shape=()),
    "a huge shape": with_predictions(np.zeros(3), shape=(3, 2**62)),
    "a shape beyond 64 bits": with_predictions(np.zeros(3), shape=(3, 2**200)),
    "a shape whose product overflows to nothing": with_predictions(np.zeros(0), shape=(3, 2**61, 8)),
    "a negative shape": with_predictions(np.zeros((3, 2)), shape=(3, -2)),
    "a shape of many dimensions": with_predictions(np.zeros(3), shape=(3, *[1] * 100)),
    "not a number": with_predictions(np.full((3, 2), np.nan)),
    "infinity": with_predictions(np.full((3, 2), np.inf)),
    "not encoded": {"test_predictions": "%%%"},
    "half a surrogate pair": {"test_predictions": "\ud800"},
    "half a number": {"test_predictions": encode_bytes(b"\0" * 47)},
    "missing": {"test_predictions": None},
    "missing shape": {"full_train_predictions_shape": None},
}
BAD_FIELDS: dict[str, dict[str, Any]] = {
    "a negative time": {"train_time": -1.0},
    "a time beyond the calendar": {"started_at": 1e15},
    "a time beyond the machine": {"tested_at": 1e250},
    "a time before the calendar": {"trained_at": -1e15},
    "half a surrogate pair": {"runner": "\ud800"},
    "an error with predictions": {"outcome": Outcome.TIMEOUT, **factories.predictions()},
}


@pytest.mark.usefixtures("check_neighbour")
@pytest.mark.parametrize(
    "changes", [pytest.param(v, id=k) for k, v in (BAD_PREDICTIONS | BAD_FIELDS).items()]
)
def test_an_outcome_that_makes_no_sense_ends_its_fold_as_lost(
    exchange: Exchange, changes: dict[str, Any]
) -> None:
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    exchange.write_outcome(factories.make_outcome(fold, **changes))

    results.save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome) == ("ERROR", "lost")
    assert "the runner's answer could not be used" in fold.log_messages
    assert fold.test_predictions == ""
    assert [path.name for path in (exchange.folder / "rejected").iterdir()] == [f"{fold.task_id}.json"]
    assert list(exchange.outcome_files()) == []


def as_json(fold: SubmissionFold, **changes: Any) -> bytes:
    message = factories.make_outcome(fold).to_message() | changes
    return json.dumps({k: v for k, v in message.items() if v != "absent"}).encode()


TORN: dict[str, Callable[[SubmissionFold], bytes]] = {
    "empty": lambda _: b"",
    "garbage": lambda _: bytes(range(256)),
    "torn": lambda fold: as_json(fold)[:-20],
    "a list": lambda _: b"[]",
    "null": lambda _: b"null",
    "deeply nested": lambda _: b"[" * 200_000,
    "of another version": lambda fold: as_json(fold, version=0),
    "of another kind": lambda fold: as_json(fold, kind="fold_task"),
    "of a kind that is none": lambda fold: as_json(fold, kind=["fold_outcome"]),
    "a field missing": lambda fold: as_json(fold, train_time="absent"),
    "a field too many": lambda fold: as_json(fold, state="TESTED"),
    "an outcome that is none": lambda fold: as_json(fold, outcome="great"),
    "NaN": lambda fold: as_json(fold, train_time=float("nan")),
    "infinity": lambda fold: as_json(fold, test_memory=float("inf")),
    "a boolean for a number": lambda fold: as_json(fold, train_time=True),
    "a text for a number": lambda fold: as_json(fold, fold_id="1"),
    "a shape that is none": lambda fold: as_json(fold, test_predictions_shape=["3", 2]),
    "that of another task": lambda fold: as_json(fold, task_id=UNKNOWN),
}


@pytest.mark.usefixtures("check_neighbour")
@pytest.mark.parametrize("content", [pytest.param(v, id=k) for k, v in TORN.items()])
def test_a_file_that_is_no_outcome_ends_its_fold_as_lost(
    exchange: Exchange, put: Callable[[str, bytes], Path], content: Callable[[SubmissionFold], bytes]
) -> None:
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    put(f"{fold.task_id}.json", content(fold))

    results.save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome) == ("ERROR", "lost")
    assert list(exchange.outcome_files()) == []


@pytest.mark.usefixtures("check_neighbour")
@pytest.mark.parametrize("name", [f"{UNKNOWN}.json", "no task id.json", f"{UNKNOWN.upper()}.json", "ü.json"])
def test_foreign_files_are_put_aside_and_change_nothing(
    exchange: Exchange, put: Callable[[str, bytes], Path], name: str
) -> None:
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    put(name, as_json(fold, task_id=name.removesuffix(".json")) if UNKNOWN not in name else b"{}")

    results.save_outcomes()

    fold.refresh_from_db()
    assert fold.state == State.TODO
    assert list(exchange.outcome_files()) == []


@pytest.mark.usefixtures("check_neighbour")
def test_a_file_whose_name_is_no_task_id_is_never_taken_for_an_outcome(
    exchange: Exchange, put: Callable[[str, bytes], Path]
) -> None:
    fold = factories.make_fold(task_id="no task id")
    put("no task id.json", as_json(fold))

    results.save_outcomes()

    fold.refresh_from_db()
    assert fold.state != State.TESTED


@pytest.mark.usefixtures("check_neighbour")
@pytest.mark.parametrize("dangling", [True, False])
def test_links_are_not_followed(
    exchange: Exchange, put: Callable[[str, bytes], Path], tmp_path: Path, dangling: bool
) -> None:
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    elsewhere = tmp_path / f"{fold.task_id}.json"
    if not dangling:
        elsewhere.write_bytes(as_json(fold))
    (exchange.folder / "outcomes" / elsewhere.name).symlink_to(elsewhere)

    results.save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome) == ("ERROR", "lost")
    assert list(exchange.outcome_files()) == []
    assert elsewhere.exists() is not dangling


@pytest.mark.usefixtures("check_neighbour")
def test_a_folder_in_the_place_of_a_file_is_put_aside(exchange: Exchange) -> None:
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    (exchange.folder / "outcomes" / f"{fold.task_id}.json").mkdir()

    results.save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome) == ("ERROR", "lost")


@pytest.mark.usefixtures("check_neighbour")
def test_a_file_that_cannot_be_read_now_is_read_later(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    exchange.write_outcome(factories.make_outcome(fold))
    read_bytes = Path.read_bytes

    def disk_fails_once(path: Path) -> bytes:
        if path.stem == fold.task_id:
            raise OSError(5, "Input/output error")
        return read_bytes(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", disk_fails_once)
        results.save_outcomes()
    fold.refresh_from_db()
    assert fold.state == State.TODO

    results.save_outcomes()

    fold.refresh_from_db()
    assert fold.state == State.TESTED


def test_a_file_that_is_too_large_is_not_read(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    exchange.write_outcome(factories.make_outcome(fold))
    monkeypatch.setattr("runapp.exchange.MAX_OUTCOME_BYTES", 100)

    results.save_outcomes()

    fold.refresh_from_db()
    assert fold.outcome == Outcome.LOST
    assert "larger than 100 bytes" in fold.log_messages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud800b", "a?b"),
        ("🌍 \x1b[31m ünï", "🌍 \x1b[31m ünï"),
        ("x" * results.MAX_LOG_CHARS + "end", "x" * (results.MAX_LOG_CHARS - 3) + "end"),
    ],
)
def test_a_log_no_database_could_hold_is_no_reason_to_lose_a_result(
    exchange: Exchange, text: str, expected: str
) -> None:
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    exchange.write_outcome(factories.make_outcome(fold, log_messages=text))

    results.save_outcomes()

    fold.refresh_from_db()
    assert fold.state == State.TESTED
    assert fold.log_messages == expected


def test_predictions_beyond_the_limit_are_not_decompressed(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(results, "MAX_PREDICTIONS", 100)
    fold = factories.make_fold(attempts=MAX_ATTEMPTS - 1)
    exchange.write_outcome(factories.make_outcome(fold, **with_predictions(np.zeros((3, 50)))))

    results.save_outcomes()

    fold.refresh_from_db()
    assert fold.outcome == Outcome.LOST
