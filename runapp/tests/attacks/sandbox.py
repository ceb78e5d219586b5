"""A sandbox for tests: real folds of hostile submissions on a small data set with secret labels."""

import contextlib
import dataclasses
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from runapp.contract import Outcome
from runapp.runner.job import FoldJob, FoldReport, Launcher, Limits

N_TRAIN, N_TEST, N_FOLD = 40, 20, 10
#: How the labels of rows look that no fold may see, without being one of them.
SECRET_LABEL = r"heldout[0-9]{3}secret"
#: Printed by an attack that succeeded.
THROUGH = "GOT THROUGH"

LIMITS = Limits(wall_seconds=30, memory_kb=512 * 1024, scratch_kb=32 * 1024, processes=32)

_PLAIN = """
from sklearn.dummy import DummyClassifier

class Classifier:
    def fit(self, X, y):
        self.model = DummyClassifier().fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
"""

_ATTACK = """
import ctypes, ctypes.util, mmap, os, re, signal, socket, subprocess, sys, threading, time
import numpy as np

def got_through(what=""):
    print("GOT" + " THROUGH", what, flush=True)

class Classifier:
    def fit(self, X, y):
{body}

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)
"""


def write_data(folder: Path) -> Path:
    """A standard data set whose labels, but those of the first rows, are secrets."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = ["a", "b"] * (N_FOLD // 2) + [
        f"heldout{row:03}secret" for row in range(N_FOLD, N_TRAIN + N_TEST)
    ]
    lines = [f"{row % 7},{row * 0.5},{label}" for row, label in enumerate(labels)]
    for name, part in (("train.csv", lines[:N_TRAIN]), ("test.csv", lines[N_TRAIN:])):
        (folder / name).write_text("\n".join(["x,z,label", *part]) + "\n")
    return folder


@dataclasses.dataclass
class Sandbox:
    """Runs submissions one after another; ``launcher`` decides how well it holds them."""

    launcher: Launcher
    folder: Path
    n_runs: int = 0

    def run(self, source: str, **limits: Any) -> FoldReport:
        """Run a submission whose ``classifier.py`` is ``source``."""
        self.n_runs += 1
        submission = self.folder / f"submission{self.n_runs}"
        submission.mkdir()
        (submission / "classifier.py").write_text(source)
        return self.launcher.run_fold(
            self.job(submission),
            dataclasses.replace(LIMITS, **limits),
            on_stage=lambda *_: None,
            is_cancelled=lambda: False,
        )

    def attack(self, body: str, **limits: Any) -> FoldReport:
        """Run a submission whose ``fit`` is ``body``; it calls ``got_through`` when it did what it must not."""
        return self.run(_ATTACK.format(body=textwrap.indent(textwrap.dedent(body), " " * 8)), **limits)

    def run_plain(self) -> FoldReport:
        return self.run(_PLAIN)

    def job(self, submission: Path) -> FoldJob:
        return FoldJob(
            data_folder=self.folder / "data", submission_folder=submission, custom=False,
            workflow_elements=("classifier",), target_column="label", n_train_rows=N_TRAIN, n_test_rows=N_TEST,
            train_is=np.arange(N_FOLD),
        )  # fmt: skip


def held(report: FoldReport) -> bool:
    """Whether the attack did not get through, and had its chance: its code ran to its end."""
    return report.outcome is Outcome.OK and THROUGH not in report.log_messages


def got_through(report: FoldReport) -> bool:
    return THROUGH in report.log_messages


def server_processes() -> set[psutil.Process]:
    """The fold servers that this process started and their zygotes, without what these forked."""
    return {process for process in _descendants() if _is_server(process)}


def processes_of_folds(seconds: float = 1.0) -> set[psutil.Process]:
    """Processes that servers started and that are still there after ``seconds``; waits no longer than for the last."""
    deadline = time.monotonic() + seconds
    while (left := _descendants() - server_processes()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def _descendants() -> set[psutil.Process]:
    outer = [process for process in psutil.Process().children() if process.name() == "bwrap"]
    return {*outer, *(process for top in outer for process in top.children(recursive=True))}


def _is_server(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        parents = [parent.name() for parent in process.parents()[:2]]
        is_zygote = process.name() == "zygote" and parents == ["fold-server", "bwrap"]
        return process.name() == "bwrap" or is_zygote or parents[:1] == ["bwrap"]
    return False
