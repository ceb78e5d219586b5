"""The commands that need no service."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from runapp.runner import launch
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.level import Level, Measured
from runapp.tests.attacks.sandbox import write_data


@pytest.fixture(autouse=True)
def measured_host(isolated: IsolatedProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """This host, its level measured before, on the tests' fold server."""
    monkeypatch.setattr(launch, "measured", lambda: Measured(Level.FULL))
    monkeypatch.setattr(launch, "launcher", lambda: isolated)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    write_data(tmp_path / "data")
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "classifier.py").write_text(
        "import numpy as np\nclass Classifier:\n"
        "    def fit(self, X, y): print('rows', len(y))\n"
        "    def predict_proba(self, X): return np.zeros((len(X), 2))\n"
    )
    return str(tmp_path / "data"), str(submission)


def run_fold(*arguments: str) -> str:
    output = io.StringIO()
    call_command("run_fold", *arguments, stdout=output)
    return output.getvalue()


def test_run_fold_prints_outcome_measures_and_log(folders: tuple[str, str]) -> None:
    printed = run_fold(*folders)
    assert "outcome    ok" in printed
    assert "isolation  full" in printed
    assert "rows 40" in printed
    assert "full_train_predictions  shape (40, 2)" in printed
    assert "test_predictions  shape (20, 2)" in printed


def test_run_fold_takes_training_rows_from_a_file(folders: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("0\n3\n5\n")
    assert "rows 3" in run_fold(*folders, "--train-is", str(tmp_path / "rows"))


def test_run_fold_fails_where_the_submission_does(folders: tuple[str, str]) -> None:
    Path(folders[1], "classifier.py").write_text("raise ValueError('not today')")
    with pytest.raises(SystemExit):
        run_fold(*folders)


@pytest.mark.parametrize("rows", ["40\n", "-1\n", "words\n"])
def test_run_fold_refuses_rows_that_there_are_not(
    folders: tuple[str, str], tmp_path: Path, rows: str
) -> None:
    (tmp_path / "rows").write_text(rows)
    with pytest.raises(CommandError):
        run_fold(*folders, "--train-is", str(tmp_path / "rows"))


def test_run_fold_refuses_folders_that_hold_no_fold(folders: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match=r"train\.csv cannot be read"):
        run_fold(str(tmp_path / "empty"), folders[1])
    with pytest.raises(CommandError, match="has none of"):
        run_fold(folders[0], str(tmp_path / "empty"))
    with pytest.raises(CommandError, match="is not a folder"):
        run_fold(folders[0], str(tmp_path / "nowhere"))


def test_isolation_says_the_level_and_fails_below_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    output, errors = io.StringIO(), io.StringIO()
    call_command("isolation", stdout=output)
    assert output.getvalue() == "isolation full\n"
    monkeypatch.setattr(
        launch, "measured", lambda: Measured(Level.PARTIAL, "a fold here can fork without end.")
    )
    with pytest.raises(SystemExit):
        call_command("isolation", stdout=output, stderr=errors)
    assert "fork without end" in errors.getvalue()
    output = io.StringIO()
    call_command("isolation", "--level", stdout=output)
    assert output.getvalue() == "partial\n"
