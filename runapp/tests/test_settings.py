"""Starting the master: what stops it, and what ``check --deploy`` says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runapp.environment import BASE_DIR
from runapp.tests.test_environment import MASTER

SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    """All variables of a master in production; the folders are this test's own."""
    folders = {
        name: str(tmp_path / name) for name in ("DIR_DATA", "DIR_SUBMISSION", "DR_HOME", "DR_STATIC_ROOT")
    }
    (tmp_path / "DR_STATIC_ROOT").mkdir()
    return MASTER | folders | {"DR_SECRET_KEY": SECRET_KEY}


def manage(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    surroundings = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", *arguments],
        env=surroundings | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", ["DR_SECRET_KEY", "DR_DATABASE_PASSWORD", "DIR_DATA", "RMQ_VHOST"])
@pytest.mark.parametrize("value", ["", "change-me"])
def test_in_production_the_start_stops_with_the_name_of_the_variable(
    production: dict[str, str], name: str, value: str
) -> None:
    ended = manage(production | {name: value}, "check")

    assert ended.returncode != 0
    assert f"ImproperlyConfigured: {name} " in ended.stderr
    assert all(secret not in ended.stderr for secret in (SECRET_KEY, "db-pass", "broker-pass"))


def test_in_production_with_all_set_nothing_is_left_to_say(production: dict[str, str]) -> None:
    ended = manage(production, "check", "--deploy", "--fail-level", "WARNING")

    assert ended.returncode == 0, ended.stderr
    assert "no issues" in ended.stdout


def test_with_nothing_set_the_master_starts_with_a_key_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    show = "from django.conf import settings as s; print(s.SECRET_KEY, s.DATABASES['default']['ENGINE'])"

    first, second = (manage({"DR_HOME": str(home)}, "shell", "-v", "0", "-c", show) for _ in range(2))

    assert first.returncode == 0, first.stderr
    key, engine = first.stdout.split()
    assert first.stdout == second.stdout
    assert len(key) > 50
    assert engine == "django.db.backends.sqlite3"
    assert (home / "secret_key").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["DR_MAX_BODY_MB", "DR_MAX_DECOMPRESSED_MB"])
def test_a_limit_that_is_no_number_stops_the_start_with_its_name(tmp_path: Path, name: str) -> None:
    ended = manage({"DR_HOME": str(tmp_path), name: "much"}, "check")

    assert ended.returncode != 0
    assert f"{name} is 'much'" in ended.stderr


def test_models_and_migrations_agree(tmp_path: Path) -> None:
    ended = manage({"DR_HOME": str(tmp_path)}, "makemigrations", "--check", "--dry-run")

    assert ended.returncode == 0, ended.stdout + ended.stderr
