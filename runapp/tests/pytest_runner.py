"""``python manage.py test``: the pytest suite, with private services where the machine can run them."""

import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runapp.environment import BASE_DIR

_SERVICES = BASE_DIR / "test_files" / "services.py"


class PytestRunner:
    """Runs pytest in a process of its own, so that the settings are read with the services' addresses."""

    def __init__(self, *, failfast: bool = False, k: str | None = None, **options: Any) -> None:
        del options  # Django's own runner has more of them; their defaults mean nothing to pytest
        self._arguments = (["--exitfirst"] if failfast else []) + (["-k", k] if k else [])

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("-k", help="run only the tests whose names match, as pytest's -k")

    def run_tests(self, test_labels: Sequence[str], **_: Any) -> int:
        """Run the tests at ``test_labels`` (paths or dotted names); 0 if all passed, else pytest's code."""
        command = [sys.executable, "-m", "pytest", *self._arguments, *map(_path, test_labels)]
        if "DR_DATABASE_NAME" not in os.environ and not _missing_packages():
            command = [sys.executable, str(_SERVICES), "run", "--", *command]
        return subprocess.run(command, cwd=BASE_DIR, check=False).returncode


def _missing_packages() -> str:
    return subprocess.run(
        [sys.executable, _SERVICES, "packages"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _path(label: str) -> str:
    """The path of a test given as a dotted name; a path stays as it is."""
    if Path(label.split("::")[0]).exists():
        return label
    path = Path(*label.split("."))
    return str(path if (BASE_DIR / path).is_dir() else path.with_suffix(".py"))
