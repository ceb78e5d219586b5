"""Rows for the pages of the dashboard: submissions of several people with folds in every state."""

import datetime
import itertools
import random
import uuid
from typing import Any

import numpy as np
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from runapp.content import content_hash
from runapp.contract import FINAL_STATES, Outcome, Priority, SplitState, State
from runapp.dispatch import new_task_id
from runapp.encodings import encode_indices, encode_predictions
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.rights import Role
from runapp.models.submission import SCORE_FIELDS
from runapp.services.accounts import role_give
from runapp.services.submissions import submission_files_write

_BATCH = 2000
_N_DATA_SETS = 5
_DAYS = 7
_CODE = b'''"""A classifier of the bench."""

from sklearn.linear_model import LogisticRegression


class Classifier:
    """Logistic regression with a scale of its own."""

    def __init__(self, strength: float = 1.0):
        self.model = LogisticRegression(C=strength, max_iter=500)

    def fit(self, X, y):
        self.model.fit(X, y)
        return self

    def predict_proba(self, X):
        return self.model.predict_proba(X)  # rows sum up to one
'''
_TRACEBACK = """Traceback (most recent call last):
  File "classifier.py", line 14, in fit
    self.model.fit(X, y)
ValueError: Input X contains NaN.

The end of what it printed:
epoch 1: 0.71
epoch 2: 0.74
"""
_FAILURES = (Outcome.USER_ERROR, Outcome.TIMEOUT, Outcome.MEMORY, Outcome.BAD_OUTPUT, Outcome.CRASH)


class PageRows:
    """``n_folds`` folds of ``n_submissions`` submissions on five data sets, posted over a week.

    Attributes
    ----------
    staff, organizer, submitter: User
        Who sees all, those on one data set, and a twentieth of the submissions.
    paths: list of str
        The pages, with a submission and folds that all three see.
    staff_paths: list of str
        Those of the admin.
    """

    def __init__(self, n_folds: int, *, n_submissions: int) -> None:
        self._random = random.Random(7)
        self._now = timezone.now()
        self._predictions = encode_predictions(np.full((120, 3), 1 / 3))
        self._indices = encode_indices(np.arange(90))
        self.staff = User.objects.create(username="staff", is_staff=True, is_superuser=True)
        self.organizer = User.objects.create(username="organizer")
        self.submitter = User.objects.create(username="submitter")
        role_give(self.organizer, Role.ORGANIZER)
        role_give(self.submitter, Role.SUBMITTER)
        others = [User.objects.create(username=f"member{i}") for i in range(19)]
        submissions = self._submissions(n_submissions, [self.submitter, *others])
        self._folds(n_folds, submissions)
        shown = submissions[0].pk
        folds = SubmissionFold.objects.filter(databoard_s=shown)
        data_set = f"/data-sets/{submissions[0].raw_data_id}/"
        self.paths = [
            "/", "/runners/", "/data-sets/", data_set, f"{data_set}?page=4", f"{data_set}ranking/",
            f"{data_set}ranking/?by=bagged_validation_score", "/submissions/", "/submissions/?folds=failed",
            "/submissions/?folds=unfinished", "/submissions/?owner=submitter", f"/submissions/{shown}/",
            *(f"/folds/{fold}/" for fold in folds.order_by("-state").values_list("pk", flat=True)[:2]),
        ]  # fmt: skip
        model = "/admin/runapp/submissionfold/"
        one = folds.values_list("pk", flat=True)[0]
        first = RawData.objects.earliest("pk").pk
        self.staff_paths = [
            model, f"{model}?state__exact=ERROR&o=9", f"{model}?p=50", f"{model}?q={one}",
            f"{model}?q=somebody", f"{model}?created_at__year={timezone.now().year}", f"{model}{one}/change/",
            "/admin/runapp/submission/", f"/admin/runapp/submission/{shown}/change/",
            "/admin/runapp/rawdata/", f"/admin/runapp/rawdata/{first}/delete/",
        ]  # fmt: skip
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")

    def _submissions(self, n_submissions: int, people: list[User]) -> list[Submission]:
        data_sets = [
            RawData.objects.create(
                name=f"data set {i}", files_path=f"bench{i}", split_state=SplitState.DONE, n_train_rows=120,
                n_test_rows=120, workflow_elements="classifier", target_column="species",
                split_task_id=new_task_id(), owner=self.organizer if i == 0 else None, scorer="accuracy",
            )
            for i in range(_N_DATA_SETS)
        ]  # fmt: skip
        digest = content_hash({"classifier.py": _CODE})
        owners = itertools.cycle(people)
        submissions = Submission.objects.bulk_create(
            Submission(
                databoard_s_id=1 + i, raw_data=data_sets[i % _N_DATA_SETS], owner=next(owners),
                files_hash=digest, files_path=f"{1 + i}/{digest}",
                created_at=self._ago(_DAYS * 86_400 * (1 - i / n_submissions)), n_scored_folds=90,
                **{name: self._random.random() for name in SCORE_FIELDS},
            )
            for i in range(n_submissions)
        )  # fmt: skip
        submission_files_write(submissions[0], {"classifier.py": _CODE})
        return submissions

    def _ago(self, seconds: float) -> datetime.datetime:
        return self._now - datetime.timedelta(seconds=seconds)

    def _folds(self, n_folds: int, submissions: list[Submission]) -> None:
        made = (self._fold(i, n_folds, submissions[i * len(submissions) // n_folds]) for i in range(n_folds))
        while batch := list(itertools.islice(made, _BATCH)):
            SubmissionFold.objects.bulk_create(batch)

    def _fold(self, number: int, n_folds: int, submission: Submission) -> SubmissionFold:
        """A fold; of those posted last some wait or run, of all others one in ten failed."""
        left = n_folds - number
        state = State.ERROR if number % 10 == 3 else State.TESTED
        if left <= max(n_folds // 50, 4):
            state = State.TODO
        posted_at = self._ago(_DAYS * 86_400 * left / n_folds)
        values: dict[str, Any] = {"sent_at": posted_at + datetime.timedelta(milliseconds=20)}
        if state in FINAL_STATES:
            values |= self._finished(state, posted_at)
        elif left % 50 == 1:
            values |= {"started_at": self._ago(30), "runner": "runner1@host", "attempts": 1}
        return SubmissionFold(
            databoard_sf_id=1 + number, databoard_s=submission, owner_id=submission.owner_id, state=state,
            task_id=str(uuid.UUID(int=self._random.getrandbits(128))), created_at=posted_at, times_sent=1,
            priority=Priority.HIGH if number % 7 == 0 else Priority.LOW,
            train_is=self._indices, test_is=self._indices, **values,
        )  # fmt: skip

    def _finished(self, state: State, posted_at: datetime.datetime) -> dict[str, Any]:
        waited, trained, tested = (self._random.expovariate(1 / mean) for mean in (40.0, 12.0, 0.4))
        times = {
            name: posted_at + datetime.timedelta(seconds=seconds)
            for name, seconds in (
                ("started_at", waited), ("trained_at", waited + trained),
                ("validated_at", waited + trained + tested), ("tested_at", waited + trained + 2 * tested),
                ("saved_at", waited + trained + 2 * tested + 0.05),
            )
        }  # fmt: skip
        values: dict[str, Any] = {
            "runner": f"runner{self._random.randint(1, 3)}@host", "isolation": "full", "attempts": 1,
            "train_time": trained, "train_cpu_time": trained * 0.97,
            "train_memory": 80_000 + 40_000 * self._random.random(), **times,
        }  # fmt: skip
        if state == State.ERROR:
            reached = dict.fromkeys(("trained_at", "validated_at", "tested_at"))
            return values | reached | {"outcome": self._random.choice(_FAILURES), "log_messages": _TRACEBACK}
        return values | {
            "validation_score": self._random.random(), "test_score": self._random.random(),
            "scored_with": "accuracy", "outcome": Outcome.OK,
            "validation_time": tested, "test_time": tested, "test_cpu_time": tested,
            "test_memory": 90_000 + 40_000 * self._random.random(), "log_messages": "epoch 1: 0.71\n" * 20,
            "full_train_predictions": self._predictions, "full_train_predictions_shape": [120, 3],
            "test_predictions": self._predictions, "test_predictions_shape": [120, 3],
        }  # fmt: skip
