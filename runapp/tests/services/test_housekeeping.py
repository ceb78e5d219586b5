"""What is removed from the shared disk, and what must never be."""

import os
import uuid
from pathlib import Path

import pytest

from runapp.environment import Environment
from runapp.exchange import Exchange
from runapp.models import RawData
from runapp.services import housekeeping
from runapp.services.files import write_folder
from runapp.services.housekeeping import CANCELLED_SECONDS, REJECTED_SECONDS, UNUSED_SECONDS
from runapp.tests import factories

pytestmark = pytest.mark.django_db

HASH = "a" * 64
#: As of a task whose fold or split is gone.
NOBODYS_TASK = "5f0c3a1b-2d4e-4f60-8172-93a4b5c6d7e8"


def make(path: Path, *, age_seconds: float) -> Path:
    """A file, or a folder with one where the path has no suffix, that was written so long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.write_text("x")
    else:
        path.mkdir()
        (path / "file.py").write_text("x")
    then = path.stat().st_mtime - age_seconds
    os.utime(path, (then, then))
    return path


@pytest.fixture(autouse=True)
def used(environment: Environment) -> list[Path]:
    """Old files of a data set with its split, of a submission, and of an unfinished fold's indices."""
    raw_data = factories.make_raw_data(files_path="iris-0123abcd", split_task_id=str(uuid.uuid4()))
    submission = factories.make_submission(raw_data, databoard_s_id=7)
    fold = factories.make_fold(submission)
    Exchange(environment.exchange_folder).make()
    old = 100 * UNUSED_SECONDS
    data = environment.dir_data / raw_data.files_path
    return [
        make(data / "splits" / raw_data.split_task_id, age_seconds=old),
        make(data / "raw", age_seconds=old),
        make(environment.dir_submission / str(submission.files_path), age_seconds=old),
        make(environment.exchange_folder / "indices" / fold.task_id, age_seconds=old),
        make(environment.dir_data / "notes of an administrator", age_seconds=old),
        make(environment.dir_submission / "notes", age_seconds=old),
    ]


@pytest.mark.parametrize(
    ("place", "seconds"),
    [
        ("data/gone-0123abcd", UNUSED_SECONDS),
        (f"data/iris-0123abcd/splits/{NOBODYS_TASK}", UNUSED_SECONDS),
        (f"submission/7/{HASH}", UNUSED_SECONDS),
        (f"submission/8/{HASH}", UNUSED_SECONDS),
        (f"submission/7/.{HASH}.half-written", UNUSED_SECONDS),
        ("submission/.datarun/rejected/x.json", REJECTED_SECONDS),
        (f"submission/.datarun/cancelled/{NOBODYS_TASK}", CANCELLED_SECONDS),
        (f"submission/.datarun/indices/{NOBODYS_TASK}", UNUSED_SECONDS),
        ("submission/.datarun/marks/.half.json", UNUSED_SECONDS),
        ("submission/.datarun/runners/r@gone.json", UNUSED_SECONDS),
    ],
)
def test_only_what_is_unused_and_old_is_removed(
    environment: Environment, used: list[Path], place: str, seconds: float
) -> None:
    folder = environment.dir_data.parent
    path = make(folder / place, age_seconds=seconds - 600)

    assert housekeeping.clean() == 0
    assert path.exists()

    then = path.stat().st_mtime - 1200
    os.utime(path, (then, then))
    assert housekeeping.clean() == 1
    assert not path.exists()
    assert all(path.exists() for path in used)


def test_an_empty_database_is_no_reason_to_remove_data_and_submissions(
    environment: Environment, used: list[Path]
) -> None:
    RawData.objects.all().delete()

    housekeeping.clean()

    assert [path.name for path in used if not path.exists()] == [used[3].name]


def test_a_version_that_is_posted_again_is_young_again(environment: Environment) -> None:
    folder = make(environment.dir_submission / "9" / HASH, age_seconds=2 * UNUSED_SECONDS)

    write_folder(folder, {"file.py": b"x"})

    assert housekeeping.clean() == 0
    assert folder.exists()
