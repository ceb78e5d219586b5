"""Short folds in flight, and what must be true of them once they have landed, whatever happened meanwhile."""

import dataclasses
import time
from pathlib import Path

import numpy as np

from test_files import post_api
from test_files.client import Datarun, Submission
from test_files.examples import STANDARD_EXAMPLES
from test_files.local_training import StandardTraining
from test_files.processes import wait_until
from test_files.stack import Stack

#: Enough that each fault meets folds in every state: to be sent, queued, running, done and saved.
N_FOLDS = 200
#: The part of the folds that is finished when the fault comes.
_LANDED_PART = 0.2
_LANDING_SECONDS = 240.0

_CLASSIFIER = """
import time

import numpy as np


class Classifier:
    def fit(self, X, y):
        time.sleep({fit_seconds})
        self.parts = np.unique(y, return_counts=True)[1] / len(y)

    def predict_proba(self, X):
        return np.tile(self.parts, (len(X), 1))
"""


@dataclasses.dataclass(frozen=True)
class FlightPlan:
    """How many folds are posted, how long each trains, and how many are finished when the harm begins."""

    n_folds: int = N_FOLDS
    fit_seconds: float = 0.05
    n_landed: int = round(_LANDED_PART * N_FOLDS)


class Flight:
    """Folds of one submission, each trained on rows of its own, so that each has its own predictions."""

    def __init__(self, stack: Stack, raw_data_id: int, folder: Path, plan: FlightPlan) -> None:
        self.stack = stack
        self.recovery = self.detection = ""
        self._client: Datarun = stack.client()
        self._raw_data_id = raw_data_id
        self._folder = folder / "submission"
        self._plan = plan
        self.submission: Submission
        self._harmed_at = 0.0

    def start(self) -> None:
        """Post the folds, and return when some of them are finished."""
        self._folder.mkdir()
        code = _CLASSIFIER.format(fit_seconds=self._plan.fit_seconds)
        (self._folder / "classifier.py").write_text(code)
        folds = [(self.train_rows(number), np.arange(5)) for number in range(self._plan.n_folds)]
        self.submission = self._client.post_submission(self._raw_data_id, self._folder, folds=folds)
        wait_until(
            lambda: self.n_landed() >= self._plan.n_landed, seconds=120, what="the end of the first folds"
        )
        self.harm_begins()

    def harm_begins(self) -> None:
        self._harmed_at = time.monotonic()

    @staticmethod
    def train_rows(number: int) -> np.ndarray:
        return np.arange(10 + number % 100)

    def starts_again(self, mark: Path, *, seconds: float) -> None:
        """Wait until the fold of a mark is known to be lost, and started again or finished."""
        holder, started = mark.read_text(), time.monotonic()

        def is_another() -> bool:
            try:
                return mark.read_text() != holder
            except FileNotFoundError:
                return True

        wait_until(is_another, seconds=seconds, what="the detection of the loss")
        self.detection = f", lost fold detected after {time.monotonic() - started:.1f} s"

    def n_landed(self) -> int:
        """How many of the folds are finished."""
        answer = post_api.get_submission_fold_light(self.stack.url, self.stack.username, self.stack.password)
        answer.raise_for_status()
        mine = (fold for fold in answer.json() if fold["databoard_s"] == self.submission.id)
        return sum(fold["state"] in ("TESTED", "ERROR") for fold in mine)

    def lands(self, *, may_crash: int = 0) -> None:
        """Wait for all folds, and check that each has the right result, as if nothing had happened.

        So many of them may have crashed, of which no result is expected.
        """
        self._client.wait(self.submission, timeout_seconds=_LANDING_SECONDS, progress=False)
        self.recovery = f"{time.monotonic() - self._harmed_at:6.1f} s{self.detection}"
        results = self._client.results(self.submission)
        assert len(results) == self._plan.n_folds
        assert sum(result.outcome == "crash" for result in results) <= may_crash
        failed = {
            result.fold_id: (result.outcome, result.log_messages)
            for result in results
            if result.state != "TESTED" and result.outcome != "crash"
        }
        assert not failed, f"{len(failed)} of {len(results)} folds failed: {failed}"
        species = StandardTraining(STANDARD_EXAMPLES[0]).y
        for number, result in enumerate(results):
            if result.outcome == "crash":
                continue
            _, counts = np.unique(species[self.train_rows(number)], return_counts=True)
            expected = np.tile(counts / counts.sum(), (len(species), 1))
            assert result.full_train_predictions is not None, result.fold_id
            assert np.array_equal(result.full_train_predictions, expected), f"fold {result.fold_id}"
