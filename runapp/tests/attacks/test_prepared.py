"""Data are parsed once per host and version, and concurrent folds hold one copy."""

import dataclasses
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from runapp.contract import Outcome
from runapp.errors import InvalidMessage
from runapp.runner.isolation import labels
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.prepared import PreparedDataSets
from runapp.tests.attacks.sandbox import LIMITS, N_TRAIN, Sandbox, write_data


@pytest.fixture
def any_sandbox(tmp_path: Path) -> Sandbox:
    """Only for the jobs that it makes."""
    write_data(tmp_path / "data")
    return Sandbox(launcher=None, folder=tmp_path)  # type: ignore[arg-type]


def test_many_at_once_prepare_a_data_set_once(any_sandbox: Sandbox, tmp_path: Path) -> None:
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30)
    prepared = []
    all_waiting = threading.Barrier(8)

    def prepare(folder: Path) -> None:
        prepared.append(folder)
        (folder / "data").touch()

    def get() -> None:
        all_waiting.wait(10)
        data_sets.get(any_sandbox.job(tmp_path), prepare)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(get) for _ in range(8)]:
            future.result()
    assert len(prepared) == 1


def test_a_changed_data_set_is_prepared_anew(any_sandbox: Sandbox, tmp_path: Path) -> None:
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30)
    job = any_sandbox.job(tmp_path)
    first = data_sets.get(job, lambda _: None)
    assert data_sets.get(job, lambda _: None).folder == first.folder
    os.utime(job.data_folder / "train.csv", (1, 1))
    assert data_sets.get(job, lambda _: None).folder != first.folder


def test_a_failed_preparation_leaves_nothing_and_is_tried_again(any_sandbox: Sandbox, tmp_path: Path) -> None:
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1 << 30)

    def fail(folder: Path) -> None:
        (folder / "data").write_bytes(b"half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        data_sets.get(any_sandbox.job(tmp_path), fail)
    assert not [path for path in (tmp_path / "prepared").iterdir() if path.is_dir()]
    assert data_sets.get(any_sandbox.job(tmp_path), lambda _: None).folder.is_dir()


def test_what_was_not_used_for_longest_makes_room(any_sandbox: Sandbox, tmp_path: Path) -> None:
    data_sets = PreparedDataSets(tmp_path / "prepared", max_bytes=1000)
    job = any_sandbox.job(tmp_path)
    folders = []

    def prepare(folder: Path) -> None:
        (folder / "data").write_bytes(bytes(400))

    for age in (300, 200, 100, 0):
        os.utime(job.data_folder / "train.csv", (age, age))
        folder = data_sets.get(job, prepare).folder
        os.utime(folder, (1000 - age, 1000 - age))
        folders.append(folder)
    assert [folder.exists() for folder in folders] == [False, True, True, True]


def test_the_second_fold_does_not_parse(sandbox: Sandbox, isolated: IsolatedProcess) -> None:
    prepare = isolated._prepare
    isolated._prepare = None  # type: ignore[method-assign, assignment]
    try:
        assert sandbox.run_plain().outcome is Outcome.OK
    finally:
        isolated._prepare = prepare  # type: ignore[method-assign]


def test_a_data_file_that_is_broken_is_a_data_error(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "data" / "test.csv").write_text("x,z\n1,2\n")
    report = sandbox.run_plain()
    assert report.outcome is Outcome.DATA_ERROR
    assert "test.csv does not hold" in report.log_messages
    write_data(tmp_path / "data")


def test_predicting_on_large_data_takes_no_memory_for_them(isolated: IsolatedProcess, tmp_path: Path) -> None:
    n_rows = 1_000_000
    data = tmp_path / "data"
    data.mkdir()
    table = "a,b,c,d,e,f,g,label\n" + "1,2,3,4,5,6,7,0\n1,2,3,4,5,6,7,1\n" * (n_rows // 2)
    for name in ("train.csv", "test.csv"):
        (data / name).write_text(table)
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "classifier.py").write_text(
        "import numpy as np\nclass Classifier:\n    def fit(self, X, y): pass\n"
        "    def predict_proba(self, X):\n"
        "        assert (X.sum(axis=0) == len(X) * np.arange(1, 8)).all()\n"
        "        X[:5] = 0\n"
        "        return X[:, 0].astype(float)\n"
    )
    job = dataclasses.replace(
        Sandbox(isolated, tmp_path).job(submission), n_train_rows=n_rows, n_test_rows=n_rows
    )
    report = isolated.run_fold(job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)
    assert report.outcome is Outcome.OK, report.log_messages
    data_kb = 8 * 7 * n_rows / 1024
    # The predictions and one copy of them that is checked.
    assert report.measures.test_memory < data_kb / 2 + 30 * 1024


LABELS = [
    np.arange(5), np.linspace(0, 1, 5), np.array([True, False, True, True, False]),
    np.array(["a", "b", "ü", "", "a"], dtype=object), np.array([1, "b", None, 2.5, True], dtype=object),
]  # fmt: skip


@pytest.mark.parametrize("values", LABELS, ids=lambda values: str(values.dtype))
def test_labels_of_every_kind_come_back_as_they_were(tmp_path: Path, values: np.ndarray) -> None:
    with open(tmp_path / "labels", "wb") as stream:
        labels.write_labels(stream, values)
    rows = np.array([3, 0, 0, 4])
    cut = labels.decode(*labels.cut(labels.open_labels(tmp_path / "labels", 5), rows))
    assert cut.dtype == values.dtype
    np.testing.assert_array_equal(cut, values[rows])
    cut[0] = cut[1]  # a fold may write into its own


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", b"[]\n", b'{"dtype": "<f8"}\n' + bytes(3), b'{"dtype": "O"}\n' + bytes(8 * N_TRAIN),
        b'{"dtype": "json"}\n[1, 2]', b'{"dtype": "json"}\n{"a": 1}', b'{"dtype": "json"}\n' + b"[" * 100_000,
        b'{"dtype": 7}\n' + bytes(400), b"\x80\x04K\x01.",
    ],
)  # fmt: skip
def test_a_label_file_that_a_sandbox_forged_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(InvalidMessage):
        labels.open_labels(tmp_path / "labels", N_TRAIN)
