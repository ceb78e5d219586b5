"""Organizer's code runs in the same sandbox and writes to its own data folder alone."""

import dataclasses
import os
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runapp.contract import Outcome
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.job import FoldJob, FoldReport, SplitJob, SplitReport
from runapp.tests.attacks.sandbox import LIMITS, processes_of_folds

SPECIFIC = """
import json, os, socket, subprocess, sys, time
from importlib import import_module
from pathlib import Path

def prepare_data(raw_data_path):
{prepare}

def get_train_data(raw_data_path):
    Path(raw_data_path, "train.json").read_text()
    return [{{"a": i}} for i in range(12)], [i % 2 for i in range(12)]

def get_test_data(raw_data_path):
    return [{{"a": i}} for i in range(5)], ["heldout-label"] * 5

def train_submission(module_path, X, y, train_indices):
{train}

def test_submission(trained_model, X, test_indices):
    return [[trained_model, X[i]["a"]] for i in test_indices]
"""
GOOD = 'Path(raw_data_path, "train.json").write_text("[]")'
TRAIN = 'return import_module(".model", module_path).fit([X[i] for i in train_indices], [y[i] for i in train_indices])'


class Organizer:
    """Splits and runs folds of a custom data set whose code a test chooses."""

    def __init__(self, launcher: IsolatedProcess, folder: Path) -> None:
        self._launcher = launcher
        self.folder = folder / "custom"
        self.folder.mkdir()
        (self.folder / "stars.csv").write_text("1,2\n")
        self._submission = folder / "submission"
        self._submission.mkdir()
        (self._submission / "model.py").write_text("def fit(X, y):\n    return len(X) + sum(y)\n")

    def write(self, prepare: str, train: str, source: str) -> None:
        body = {
            "prepare": textwrap.indent(textwrap.dedent(prepare), " " * 4),
            "train": textwrap.indent(train, " " * 4),
        }
        (self.folder / "specific.py").write_text(source.format(**body))

    def split(
        self, prepare: str = GOOD, train: str = TRAIN, source: str = SPECIFIC, **limits: Any
    ) -> SplitReport:
        self.write(prepare, train, source)
        job = SplitJob(
            source_folder=self.folder, working_folder=self.folder, custom=True, data_file=None, target_column="",
            workflow_elements=(), held_out_test=None, random_state=None,
        )  # fmt: skip
        return self._launcher.run_split(
            job, dataclasses.replace(LIMITS, **limits), is_cancelled=lambda: False
        )

    def fold(self) -> FoldReport:
        job = FoldJob(
            data_folder=self.folder, submission_folder=self._submission, custom=True, workflow_elements=(),
            target_column="", n_train_rows=12, n_test_rows=5, train_is=np.arange(4),
        )  # fmt: skip
        return self._launcher.run_fold(job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)


@pytest.fixture
def organizer(isolated: IsolatedProcess, tmp_path: Path) -> Organizer:
    return Organizer(isolated, tmp_path)


def test_a_custom_data_set_is_split_and_trained_on(organizer: Organizer) -> None:
    split = organizer.split()
    assert (split.outcome, split.n_train_rows, split.n_test_rows) == (Outcome.OK, 12, 5), split.log_messages
    assert (organizer.folder / "train.json").read_text() == "[]"
    report = organizer.fold()
    assert report.outcome is Outcome.OK, report.log_messages
    assert report.test_predictions is not None
    np.testing.assert_array_equal(report.test_predictions, [[6, i] for i in range(5)])


def test_its_code_reads_and_writes_nothing_else(organizer: Organizer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    split = organizer.split(f"""
        {GOOD}
        for attempt in (
            lambda: Path({str(tmp_path / "secret")!r}).read_text(),
            lambda: Path({str(tmp_path / "written")!r}).write_text("x"),
            lambda: Path("/etc/passwd").read_text(),
            lambda: Path(raw_data_path, "..", "up").write_text("x"),
            lambda: socket.socket(socket.AF_INET),
        ):
            try:
                attempt()
            except OSError:
                continue
            raise SystemExit("it got through")
    """)
    assert split.outcome is Outcome.OK, split.log_messages
    assert not (tmp_path / "written").exists()


def test_its_failure_is_told_in_its_own_lines(organizer: Organizer) -> None:
    split = organizer.split("raise ValueError('no stars')")
    assert split.outcome is Outcome.DATA_ERROR
    assert 'File "specific.py"' in split.log_messages
    assert "no stars" in split.log_messages
    assert "/data/" not in split.log_messages


def test_it_has_limits_of_its_own(organizer: Organizer) -> None:
    assert organizer.split("while True: pass", wall_seconds=1).outcome is Outcome.TIMEOUT
    assert (
        organizer.split("kept = [b'x' * (32 << 20) for _ in range(40)]; time.sleep(9)").outcome
        is Outcome.MEMORY
    )
    assert not processes_of_folds()


def test_links_and_pipes_that_it_leaves_are_removed(organizer: Organizer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    split = organizer.split(f"""
        {GOOD}
        os.symlink({str(tmp_path / "secret")!r}, Path(raw_data_path, "link"))
        os.symlink("/", Path(raw_data_path, "root"))
        os.mkfifo(Path(raw_data_path, "pipe"))
        os.makedirs(Path(raw_data_path, "folder", "inner"))
        Path(raw_data_path, "folder", "inner", "program").write_text("x")
        os.chmod(Path(raw_data_path, "folder", "inner", "program"), 0o6777)
    """)
    assert split.outcome is Outcome.OK, split.log_messages
    left = {str(path.relative_to(organizer.folder)) for path in organizer.folder.rglob("*")}
    assert left == {
        "stars.csv",
        "specific.py",
        "train.json",
        "folder",
        "folder/inner",
        "folder/inner/program",
    }
    assert (organizer.folder / "folder" / "inner" / "program").stat().st_mode & 0o7777 == 0o644
    assert (organizer.folder / "train.json").stat().st_uid == os.getuid()


@pytest.mark.parametrize("closed", [".", "folder/inner"])
@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_it_cannot_hide_files_in_a_folder_that_nobody_can_read(
    organizer: Organizer, mode: int, closed: str
) -> None:
    split = organizer.split(f"""
        {GOOD}
        os.makedirs(Path(raw_data_path, "folder", "inner"))
        Path(raw_data_path, "folder", "inner", "file").write_text("x")
        os.chmod(Path(raw_data_path, {closed!r}), {mode})
    """)
    assert split.outcome is Outcome.DATA_ERROR
    assert "its owner cannot read" in split.log_messages
    assert (organizer.folder / "folder" / "inner" / "file").read_text() == "x", "nobody could remove it"


def test_a_link_in_place_of_its_code_is_not_followed(organizer: Organizer, tmp_path: Path) -> None:
    organizer.split()
    (tmp_path / "secret").write_text("raise ValueError('the secret')")
    organizer.fold()
    (organizer.folder / "specific.py").unlink()
    (organizer.folder / "specific.py").symlink_to(tmp_path / "secret")
    report = organizer.fold()
    assert report.outcome is Outcome.DATA_ERROR
    assert "the secret" not in report.log_messages


def test_held_out_labels_of_a_custom_data_set_never_enter_a_fold(organizer: Organizer) -> None:
    # Made up when the data are prepared, so that no source text holds it.
    source = SPECIFIC.replace(
        '["heldout-label"] * 5', '["held" + "out-" + str(i * 1111) for i in range(1, 6)]'
    )
    search = f"""
import re
pattern = re.compile(b"held" + b"out-[0-9]{{4}}")
for line in open("/proc/self/maps").readlines():
    start, end = (int(number, 16) for number in line.split()[0].split("-"))
    try:
        with open("/proc/self/mem", "rb", 0) as memory:
            memory.seek(start)
            assert not pattern.search(memory.read(end - start)), line
    except (OSError, OverflowError, ValueError):
        continue
{TRAIN}
"""
    organizer.split(source=source, train=search)
    report = organizer.fold()
    assert report.outcome is Outcome.OK, report.log_messages


def test_data_that_cannot_be_stored_is_a_data_error_in_words(organizer: Organizer) -> None:
    organizer.split()
    source = (
        (organizer.folder / "specific.py").read_text().replace('[{"a": i} for i in range(12)]', "(lambda: 1)")
    )
    (organizer.folder / "specific.py").write_text(source)
    report = organizer.fold()
    assert report.outcome is Outcome.DATA_ERROR
    assert "cannot be stored" in report.log_messages


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (
            "[Path(raw_data_path, str(i)).write_bytes(bytes(600 << 20)) for i in range(4)]; time.sleep(60)",
            "MB were written",
        ),
        (
            "[Path(raw_data_path, str(i)).touch() for i in range(150_000)]; time.sleep(60)",
            "files were written",
        ),
        (
            """
            os.chdir(raw_data_path)
            for _ in range(3000):
                os.mkdir("folder")
                os.chdir("folder")
            """,
            "levels deep",
        ),
    ],
    ids=["bytes", "files", "folders within folders"],
)
def test_it_cannot_fill_the_shared_disk(organizer: Organizer, prepare: str, words: str) -> None:
    split = organizer.split(prepare, wall_seconds=60)

    assert split.outcome is Outcome.DATA_ERROR
    assert re.search(words, split.log_messages)
    shutil.rmtree(organizer.folder)
    assert not processes_of_folds()
