"""Hosts and networks fail in the middle of folds: all folds reach a final state, and datarun goes on by itself."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

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
    """Folds that are being trained while something fails."""

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

    def _n_finished(self) -> int:
        return sum(result.state in ("TESTED", "ERROR") for result in self.results())

    def results(self) -> list[FoldResult]:
        return self._ask(lambda: self._datarun.results(self.submission))

    def finish(self) -> list[FoldResult]:
        """Wait until all folds are final; their results."""
        self._ask(
            lambda: self._datarun.wait(self.submission, timeout_seconds=_FINISH_SECONDS, progress=False)
        )
        return self.results()

    def _ask(self, question: Callable[[], T]) -> T:
        return in_network(self._deployment.site.cage, question)


@pytest.fixture
def folds(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folds]:
    certificate = deployment.site.scripts / "certificates" / f"{address(NUMBERS['master'])}.crt"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    yield Folds(deployment, tmp_path)
    for name in ("disk", "master", "runner1", "runner2"):
        machine = deployment.machine(name)
        if not machine.is_on:
            machine.boot()
        machine.connect()
    deployment.wait_until_up()


def _check(results: list[FoldResult], began: float, tell: Callable[[str], None], fault: str) -> None:
    states = [result.state for result in results]
    problems = [f"fold {result.fold_id} is {result.state}, {result.outcome}: {result.log_messages[-500:]}"
                for result in results if result.state != "TESTED"]  # fmt: skip
    tell(f"{fault}: {len(states)} folds final {time.monotonic() - began:.0f} s after the fault")
    assert not problems, "\n".join(problems)
    predictions = {
        result.test_predictions.tobytes() for result in results if result.test_predictions is not None
    }
    assert len(results) == _N_FOLDS
    assert len(predictions) == 1, "the same training must predict the same, whichever runner did it"


def test_a_runner_loses_its_power(deployment: Deployment, folds: Folds, tell: Callable[[str], None]) -> None:
    folds.send()
    began = time.monotonic()
    deployment.machine("runner2").cut_power()
    _check(folds.finish(), began, tell, "a runner without power")


def test_a_runners_network_is_cut_and_mended(
    deployment: Deployment, folds: Folds, tell: Callable[[str], None]
) -> None:
    folds.send()
    began = time.monotonic()
    deployment.machine("runner1").disconnect()
    deployment.wait_for_other_workers("runner1")
    deployment.machine("runner1").connect()
    _check(folds.finish(), began, tell, "a runner without network")


def test_the_disks_host_freezes_and_thaws(
    deployment: Deployment, folds: Folds, tell: Callable[[str], None]
) -> None:
    folds.send()
    began = time.monotonic()
    disk = deployment.machine("disk")
    disk.freeze()
    try:
        deployment.wait_until_disk_is_away("runner1")
    finally:
        disk.thaw()
    _check(folds.finish(), began, tell, "a frozen disk")


def test_the_master_is_rebooted(deployment: Deployment, folds: Folds, tell: Callable[[str], None]) -> None:
    folds.send()
    began = time.monotonic()
    deployment.machine("master").reboot()
    deployment.wait_until_up()
    _check(folds.finish(), began, tell, "a rebooted master")


def test_the_master_loses_its_power(
    deployment: Deployment, folds: Folds, tell: Callable[[str], None]
) -> None:
    folds.send()
    began = time.monotonic()
    deployment.machine("master").cut_power()
    deployment.machine("master").boot()
    deployment.wait_until_up()
    _check(folds.finish(), began, tell, "a master without power")
