"""A small fold of datarun's own, sent end to end: what an administrator asks whether folds are trained."""

import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from runapp.contract import FINAL_STATES, Priority, SplitState, State
from runapp.encodings import encode_bytes, encode_indices
from runapp.errors import DatarunError
from runapp.models import RawData, Submission, SubmissionFold
from runapp.services.data import raw_data_create, split_ask
from runapp.services.folds import FoldRequest, fold_submit

_DATA = "size,kind\n" + "".join(f"{number},{'big' if number > 9 else 'small'}\n" for number in range(20))
_CLASSIFIER = """
import numpy as np


class Classifier:
    def fit(self, X, y):
        pass

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)
"""
_LARGEST_ID = 2**31 - 1
_POLL_SECONDS = 0.05


class CanaryFailed(DatarunError):
    """The canary fold was not trained."""

    code = "canary_failed"


def train_canary(*, owner: User, timeout_seconds: float) -> float:
    """Split a tiny data set and train a fold on it; the seconds from posting it to its result.

    Nothing of it stays, and no caller is handed its predictions.

    Raises
    ------
    CanaryFailed
        In words.
    """
    with _canary_data(owner) as raw_data:
        split_ask(raw_data=raw_data, held_out_test=0.5, random_state=0, by=owner)
        _wait(lambda: _split_state(raw_data) != SplitState.TODO, timeout_seconds, "split")
        started = time.monotonic()
        fold_id = _post(raw_data, owner)
        _wait(lambda: _fold_state(fold_id) in FINAL_STATES, timeout_seconds, "trained")
        fold = SubmissionFold.objects.without_large_columns().get(pk=fold_id)
        if fold.state != State.TESTED:
            raise CanaryFailed(f"the canary fold ended as {fold.outcome}: {fold.log_messages[-500:]}")
        return time.monotonic() - started


@contextmanager
def _canary_data(owner: User) -> Iterator[RawData]:
    raw_data = raw_data_create(
        owner=owner,
        name=f"canary of the doctor {uuid.uuid4().hex[:8]}",
        target_column="kind",
        workflow_elements="classifier",
        files={"canary.csv": encode_bytes(_DATA.encode())},
    )
    try:
        yield raw_data
    finally:
        submissions = Submission.objects.filter(raw_data=raw_data).values_list("pk", flat=True)
        folders = [settings.ENVIRONMENT.dir_submission / str(number) for number in submissions]
        folders.append(settings.ENVIRONMENT.dir_data / raw_data.files_path)
        raw_data.delete()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _post(raw_data: RawData, owner: User) -> int:
    # Ids are the callers' to choose: one from the end of the range that nobody has.
    number = _LARGEST_ID - secrets.randbelow(1_000_000)
    request = FoldRequest(
        fold_id=number,
        submission_id=number,
        train_is=encode_indices(np.arange(5)),
        test_is=encode_indices(np.arange(5, 10)),
        priority=Priority.HIGH,
        raw_data_id=raw_data.pk,
        files={"classifier.py": encode_bytes(_CLASSIFIER.encode())},
    )
    with transaction.atomic():
        fold_submit(request, owner=owner)
        SubmissionFold.objects.filter(pk=number).update(new=False)
    return number


def _split_state(raw_data: RawData) -> str:
    return RawData.objects.values_list("split_state", flat=True).get(pk=raw_data.pk)


def _fold_state(fold_id: int) -> str:
    return SubmissionFold.objects.values_list("state", flat=True).get(pk=fold_id)


def _wait(is_done: Callable[[], bool], timeout_seconds: float, what: str) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not is_done():
        if time.monotonic() > deadline:
            raise CanaryFailed(f"the canary was not {what} within {timeout_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
