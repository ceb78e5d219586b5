"""The outer view of the sandbox: what bubblewrap is told to show."""

import itertools
import os
import shutil
import sys
from pathlib import Path

import pytest

from runapp.runner.isolation import places, view


def test_an_environment_beneath_the_scratch_is_shown_where_no_fold_hides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = places.SCRATCH / tmp_path.name / ".venv"
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "executable", str(prefix / "bin" / "python"))
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/bwrap")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    command = view.command(["-V"])
    bound = {inside: outside for outside, inside in itertools.pairwise(command)}
    assert bound["/opt/python/.venv"] == str(prefix)
    assert command[-2:] == ["/opt/python/.venv/bin/python", "-V"]
    assert "/opt/python/.venv/bin:/usr/bin:/bin" in command


def test_an_environment_elsewhere_is_shown_in_its_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/srv/datarun/.venv")
    monkeypatch.setattr(sys, "executable", "/srv/datarun/.venv/bin/python")
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/bwrap")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert view.command(["-V"])[-2] == "/srv/datarun/.venv/bin/python"
