"""What a browser finds: a day's work of a few people, and what a stranger sent who means harm.

All folds are finished, so that no runner takes one; those that run come through the API.
"""

import datetime
import json
import random
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from runapp.contract import Outcome, SplitState, State
from runapp.dispatch import new_task_id
from runapp.models import Submission, SubmissionFold
from runapp.models.rights import Role
from runapp.services.submissions import submission_files_write
from runapp.tests import factories

ORGANIZER, SUBMITTER = "organizer", "submitter"
_OTHERS = ("submitter2", "submitter3")
_HISTORY = datetime.timedelta(hours=6)
_N_SUBMISSIONS, _FOLDS_OF_ONE = 24, 12
_CODE = b'''"""A linear model of ten measures."""

from sklearn.linear_model import Ridge


class Regressor:
    def __init__(self, strength: float = 1.0):
        self.model = Ridge(alpha=strength)

    def fit(self, X, y):
        self.model.fit(X, y)

    def predict(self, X):
        return self.model.predict(X)  # a number for each row
'''
_FAILURES = {
    Outcome.USER_ERROR: 'Traceback (most recent call last):\n  File "regressor.py", line 11, in fit\n'
    "    self.model.fit(X, y)\nValueError: Input X contains NaN.\n",
    Outcome.TIMEOUT: "It was stopped after 60 seconds, the limit of its data set.\n",
    Outcome.MEMORY: "It was stopped when it used more than 1000 MB, the limit of its data set.\n",
    Outcome.BAD_OUTPUT: "predict returned an array of shape (88,), and (89,) is needed.\n",
}
HOSTILE = "<script>alert('x')</script></textarea></title>\x1b[31mred\x1b[0m \u202eflipped\" "


def make() -> None:
    """Make accounts, data sets, submissions and folds; prints the ids of a stranger's as JSON."""
    factories.make_user(ORGANIZER)
    submitter = factories.make_user(SUBMITTER, role=Role.SUBMITTER)
    others = [factories.make_account(name, role=Role.SUBMITTER) for name in _OTHERS]
    _History([*others, submitter]).make()
    print(json.dumps(_hostile()))


class _History:
    """Submissions of the last hours, more of them towards now; of their folds one in fifteen failed."""

    def __init__(self, people: list[User]) -> None:
        # The last is who posts more later: the client numbers onwards from the last that its user sees.
        self._people = people
        self._now = timezone.now()
        self._random = random.Random(7)  # noqa: S311

    def make(self) -> None:
        data = factories.make_raw_data(
            name="diabetes", owner=User.objects.get(username=ORGANIZER), workflow_elements="regressor",
            target_column="progression", n_train_rows=353, n_test_rows=89,
        )  # fmt: skip
        for number in range(_N_SUBMISSIONS):
            part_left = (1 - number / _N_SUBMISSIONS) ** 1.5
            posted_at = self._now - _HISTORY * part_left * 0.97
            owner = self._people[number % len(self._people)]
            submission = factories.make_submission(
                data, owner=owner, created_at=posted_at, databoard_s_id=101 + number
            )
            submission_files_write(submission, {"regressor.py": _CODE})
            SubmissionFold.objects.bulk_create(
                self._fold(submission, posted_at) for _ in range(_FOLDS_OF_ONE)
            )

    def _fold(self, submission: Submission, posted_at: datetime.datetime) -> SubmissionFold:
        waited, trained = (self._random.expovariate(1 / mean) for mean in (25.0, 14.0))
        tested = 0.2 + self._random.random() / 3
        seconds = {"sent_at": 0.02, "started_at": waited, "trained_at": waited + trained,
                   "validated_at": waited + trained + tested, "tested_at": waited + trained + 2 * tested,
                   "saved_at": waited + trained + 2 * tested + 0.05}  # fmt: skip
        values: dict[str, Any] = {
            name: posted_at + datetime.timedelta(seconds=after) for name, after in seconds.items()
        }
        if self._random.random() < 1 / 15:
            values |= dict.fromkeys(("trained_at", "validated_at", "tested_at"))
            values["outcome"] = self._random.choice(list(_FAILURES))
            values |= {"state": State.ERROR, "log_messages": _FAILURES[values["outcome"]]}
        else:
            values |= {
                "state": State.TESTED, "outcome": Outcome.OK, "validation_time": tested, "test_time": tested,
                "test_memory": 90_000.0 + 40_000.0 * self._random.random(),
            }  # fmt: skip
        return SubmissionFold(
            databoard_sf_id=next(_fold_ids), databoard_s=submission, owner_id=submission.owner_id,
            task_id=new_task_id(), created_at=posted_at, times_sent=1, attempts=1, train_time=trained,
            train_cpu_time=trained * 0.97, train_memory=80_000.0 + 40_000.0 * self._random.random(),
            runner=f"runner{self._random.randint(1, 2)}@host", isolation="full",
            train_is=_INDICES, test_is=_INDICES, **values,
        )  # fmt: skip


_fold_ids = iter(range(1001, 2000))
_INDICES = factories.encoded_indices(range(100))


def _hostile() -> dict[str, int]:
    """Everything that a stranger may choose, chosen badly; the ids of data set, submission and fold."""
    stranger = factories.make_account(f"{HOSTILE}{'W' * 90}"[:150])
    data = factories.make_raw_data(
        name=f"{HOSTILE}{'W' * 90}"[:100], owner=stranger, workflow_elements=HOSTILE,
        target_column=HOSTILE + "W" * 100,
    )  # fmt: skip
    factories.make_raw_data(SplitState.ERROR, name=HOSTILE, owner=stranger, split_log=HOSTILE * 20)
    submission = factories.make_submission(data, owner=stranger, databoard_s_id=201)
    submission_files_write(
        submission,
        {"classifier.py": (HOSTILE * 30).encode(), f"{'x' * 90}.txt": b"W" * 3000, "a\u202eb<b>.bin": b"\0"},
    )
    fold = factories.make_fold(
        submission, state=State.ERROR, owner=stranger, databoard_sf_id=2001, saved_at=timezone.now(),
        runner=HOSTILE, isolation=HOSTILE[:40], log_messages=HOSTILE + "W" * 5000,
    )  # fmt: skip
    return {"hostile_data": data.pk, "hostile_submission": submission.pk, "hostile_fold": fold.pk}
