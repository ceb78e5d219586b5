"""The private folder of a run."""

import os
from pathlib import Path

import pytest

from runapp.runner.scratch import scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_whatever_a_run_leaves_is_removed_and_no_link_followed() -> None:
    with scratch() as folders:
        locked = folders.work / "locked"
        locked.mkdir()
        (locked / "file").touch()
        (folders.work / "link").symlink_to("/etc")
        locked.chmod(0)
        folders.work.chmod(0)
    assert not folders.root.exists()
    assert Path("/etc/passwd").exists()


def test_folders_of_killed_runners_are_removed_and_those_in_use_are_not(temporary: Path) -> None:
    abandoned = temporary / "datarun-fold-abandoned"
    (abandoned / "work").mkdir(parents=True)
    young = temporary / "datarun-fold-young"
    young.mkdir()
    (temporary / "datarun-fold-link").symlink_to("/etc")
    with scratch() as used:
        for folder in (abandoned, used.root):
            os.utime(folder, (1, 1))
        with scratch():
            assert not abandoned.exists()
            assert used.root.exists()
            assert young.exists()
