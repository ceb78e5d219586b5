"""Folds that are in training while something happens to the hosts."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from test_files.client import Datarun, FoldResult, Submission
from test_files.examples import FOLDER
from test_files.hosts.deployment import Deployment
from test_files.hosts.machine import wait_until
from test_files.hosts.network import address, in_network
from test_files.hosts.site import NUMBERS

T = TypeVar("T")

_N_FOLDS = 24
_FINISH_SECONDS = 420.0

#: Long enough for the fault to come in the middle of it.
_SLOW_CLASSIFIER = """
import time
from sklearn.linear_model import LogisticRegression

class Classifier(LogisticRegression):
    def fit(self, X, y):
        time.sleep(1.5)
        return super().fit(X, y)
"""


class Folds:
    """Folds of one submission, slow enough that something can happen in the middle of them."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._deployment = deployment
        self._folder = folder
        settings = deployment.site.settings
        self._datarun = Datarun(
            f"https://{address(NUMBERS['master'])}", settings["USER_LOGIN"], settings["USER_PSWD"]
        )

    def send(self) -> None:
        """Send folds, and wait until the first of them is done and others are running."""
        (self._folder / "classifier.py").write_text(_SLOW_CLASSIFIER)
        rows = np.arange(100)
        data = self._ask(
            lambda: self._datarun.post_data(
                f"iris {time.time_ns()}", "species", "classifier", [FOLDER / "iris" / "iris.csv"]
            )
        )
        self.submission: Submission = self._ask(
            lambda: self._datarun.post_submission(
                data["id"], self._folder, folds=[(rows, rows[:1])] * _N_FOLDS
            )
        )
        wait_until(lambda: 0 < self._n_finished() < _N_FOLDS, "some folds are done", timeout_seconds=120)
        self._sent_at = time.monotonic()

    def end_well(self, what: str) -> str:
        """Wait until all folds are final, and check that all were trained; how long that took, in words.

        ``what`` is what happened to them.
        """
        self._ask(
            lambda: self._datarun.wait(self.submission, timeout_seconds=_FINISH_SECONDS, progress=False)
        )
        seconds = time.monotonic() - self._sent_at
        results = self._results()
        problems = [
            f"fold {result.fold_id} is {result.state}, {result.outcome}: {result.log_messages[-500:]}"
            for result in results
            if result.state != "TESTED"
        ]
        assert not problems, "\n".join(problems)
        assert len(results) == _N_FOLDS
        predictions = [result.test_predictions for result in results]
        distinct = {array.tobytes() for array in predictions if array is not None}
        assert len(distinct) == 1, "the same training must predict the same, whichever runner did it"
        return f"{what}: {len(results)} folds final after {seconds:.0f} s"

    def _n_finished(self) -> int:
        return sum(result.state in ("TESTED", "ERROR") for result in self._results())

    def _results(self) -> list[FoldResult]:
        return self._ask(lambda: self._datarun.results(self.submission))

    def _ask(self, question: Callable[[], T]) -> T:
        return in_network(self._deployment.site.cage, question)
