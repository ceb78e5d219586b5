"""Rows, files and messages for tests, each valid and small unless a test says otherwise."""

import base64
import itertools
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.contrib.auth.models import User

from runapp.content import content_hash
from runapp.contract import Outcome, Queue, SplitState, State
from runapp.dispatch import new_task_id
from runapp.encodings import encode_predictions
from runapp.messages import FoldOutcome, RunnerMark, SplitOutcome
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.rights import Role
from runapp.services.accounts import role_give

PASSWORD = "correct horse battery staple"
N_TRAIN_ROWS, N_TEST_ROWS = 6, 3
CLASSIFIER = b"class Classifier:\n    pass\n"
CSV = b"width,height,species\n" + b"".join(b"%d,%d,%s\n" % (i, 9 - i, b"ab"[i % 2 :][:1]) for i in range(9))
SPECIFIC = b"""
def prepare_data(raw_data_path): ...
def get_train_data(raw_data_path): ...
def get_test_data(raw_data_path): ...
def train_submission(module_path, X, y, train_indices): ...
def test_submission(trained_model, X, test_indices): ...
"""

_ids = itertools.count(1000)


def encoded(content: bytes) -> str:
    """Content of a file as a request carries it."""
    return base64.b64encode(zlib.compress(content)).decode()


def encoded_files(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: encoded(content) for name, content in files.items()}


def encoded_indices(rows: Sequence[int]) -> str:
    return encoded(np.asarray(rows, dtype="<i8").tobytes())


def make_user(name: str = "ada", *, role: Role | None = Role.ORGANIZER, **fields: Any) -> User:
    """An account with a password, an organizer's unless ``role`` says otherwise."""
    return _with_role(User.objects.create_user(name, password=PASSWORD, **fields), role)


def make_account(name: str, *, role: Role | None = Role.ORGANIZER, **fields: Any) -> User:
    """As ``make_user``, without a password, whose hash takes its time."""
    return _with_role(User.objects.create(username=name, **fields), role)


def _with_role(user: User, role: Role | None) -> User:
    if role is not None:
        role_give(user, role)
    return user


def caller() -> User | None:
    """The account that most tests call by, ``ada``; what they make is hers unless they say otherwise."""
    return User.objects.filter(username="ada").first()


def make_raw_data(split_state: SplitState = SplitState.DONE, **fields: Any) -> RawData:
    """A data set of 6 training and 3 test rows, split and described unless ``split_state`` says otherwise."""
    name = fields.pop("name", f"iris{next(_ids)}")
    values: dict[str, Any] = {
        "owner": caller(),
        "files_path": f"{name[:50]}-0", "workflow_elements": "classifier", "target_column": "species",
        "split_state": split_state, "split_log": "the split's own error" if split_state == "ERROR" else "",
        "split_task_id": "" if split_state == "NONE" else new_task_id(),
    }  # fmt: skip
    if split_state == SplitState.DONE:
        values |= {"n_train_rows": N_TRAIN_ROWS, "n_test_rows": N_TEST_ROWS}
    values["described_split"] = values["split_task_id"]
    return RawData.objects.create(name=name, **values | fields)


def runner_mark(**fields: Any) -> RunnerMark:
    """A runner that takes all queues and has one of its two places free."""
    values: dict[str, Any] = {
        "runner": "runner@host", "host": "host", "queues": tuple(Queue), "places": 2, "busy": 1,
        "refuses": "", "isolation": "full", "isolation_reason": "", "versions": {"python": "3.11.2"},
        "clock": time.time(),
    }  # fmt: skip
    return RunnerMark(**values | fields)


def make_submission(raw_data: RawData | None = None, **fields: Any) -> Submission:
    number = fields.pop("databoard_s_id", next(_ids))
    digest = content_hash({"classifier.py": CLASSIFIER})
    values = {
        "databoard_s_id": number, "files_path": f"{number}/{digest}", "files_hash": digest,
        "raw_data": raw_data or make_raw_data(), "owner": fields.get("owner", caller()),
    }  # fmt: skip
    return Submission.objects.create(**values | fields)


def make_fold(submission: Submission | None = None, **fields: Any) -> SubmissionFold:
    """A fold in ``state`` (TODO unless given), with predictions and an outcome where that has them.

    A new submission belongs to whom the fold belongs to.
    """
    owner = fields.pop("owner", caller())
    values: dict[str, Any] = {
        "owner": owner,
        "databoard_sf_id": next(_ids), "task_id": new_task_id(),
        "train_is": encoded_indices([0, 1, 2]), "test_is": encoded_indices([3, 4]),
    }  # fmt: skip
    if "databoard_s" not in fields:
        values["databoard_s"] = submission or make_submission(owner=owner)
    if fields.get("state") == State.TESTED:
        values |= {"outcome": Outcome.OK, **predictions()}
    elif fields.get("state") == State.ERROR:
        values["outcome"] = Outcome.USER_ERROR
    return SubmissionFold.objects.create(**values | fields)


def predictions(n_train_rows: int = N_TRAIN_ROWS, n_test_rows: int = N_TEST_ROWS) -> dict[str, Any]:
    """The four fields that carry a fold's predictions, of two classes."""
    fields: dict[str, Any] = {}
    for name, n_rows in (("full_train_predictions", n_train_rows), ("test_predictions", n_test_rows)):
        fields[name] = encode_predictions(np.full((n_rows, 2), 0.5))
        fields[f"{name}_shape"] = (n_rows, 2)
    return fields


def make_outcome(fold: SubmissionFold, **changes: Any) -> FoldOutcome:
    """What a runner reports of ``fold``: success, unless ``changes`` say otherwise."""
    values: dict[str, Any] = {
        "fold_id": fold.pk, "task_id": fold.task_id, "attempt": 1, "outcome": Outcome.OK, "log_messages": "",
        "runner": "runner@host", "isolation": "none", "started_at": 1.7e9, "trained_at": 1.7e9 + 1,
        "validated_at": 1.7e9 + 2, "tested_at": 1.7e9 + 3, "train_time": 1.0, "train_memory": 2048.0,
    }  # fmt: skip
    if changes.get("outcome", Outcome.OK) is Outcome.OK:
        values |= predictions()
    return FoldOutcome(**values | changes)


def make_split_outcome(raw_data: RawData, **changes: Any) -> SplitOutcome:
    values: dict[str, Any] = {
        "raw_data_id": raw_data.pk, "task_id": raw_data.split_task_id, "ok": True, "log_messages": "",
        "runner": "runner@host", "n_train_rows": N_TRAIN_ROWS, "n_test_rows": N_TEST_ROWS,
    }  # fmt: skip
    return SplitOutcome(**values | changes)


def written() -> tuple[list[Path], list[Any]]:
    """Every path below the two data folders, and every row of the three tables."""
    folders = (settings.ENVIRONMENT.dir_data, settings.ENVIRONMENT.dir_submission)
    rows = [list(model.objects.values()) for model in (RawData, Submission, SubmissionFold)]
    return sorted(path for folder in folders for path in folder.rglob("*")), rows


@contextmanager
def nothing_written() -> Iterator[None]:
    """Fail if a file, a folder or a row appears, changes or goes away."""
    before = written()
    yield
    after = written()
    assert after == before, f"there were {before}, there are {after}"
