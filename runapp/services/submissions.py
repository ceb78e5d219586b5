"""Submissions: the files participants hand in."""

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User

from runapp.content import content_hash
from runapp.errors import InvalidInput
from runapp.models import RawData, Submission
from runapp.models.submission import NO_SCORES
from runapp.services.files import remove_folder, write_folder


def submission_row(
    *,
    submission_id: int,
    owner: User,
    raw_data: RawData,
    files: Mapping[str, bytes],
    former: Submission | None,
) -> Submission:
    """Write a submission's row, new or in place of its former version. Its files are written after it.

    Raises
    ------
    InvalidInput
        If a file that the workflow needs is missing.
    """
    needed = () if raw_data.custom else [f"{element}.py" for element in raw_data.elements]
    if missing := [name for name in needed if name not in files]:
        raise InvalidInput(
            "files", f"{', '.join(missing)} missing; the workflow is {raw_data.workflow_elements}"
        )
    digest = content_hash(files)
    submission = former or Submission(databoard_s_id=submission_id)
    submission.raw_data = raw_data
    submission.owner = owner
    submission.files_hash = digest
    submission.files_path = f"{submission_id}/{digest}"
    for name, value in NO_SCORES.items():
        setattr(submission, name, value)
    submission.save(force_insert=former is None, force_update=former is not None)
    return submission


def submission_folder(submission: Submission) -> Path:
    """The folder of a submission's files."""
    return Path(settings.ENVIRONMENT.dir_submission / (submission.files_path or ""))


def submission_files_write(submission: Submission, files: Mapping[str, bytes]) -> Path | None:
    """Write a submission's files, as the last step of the transaction that writes its row.

    The folder is named by its content: an earlier version stays untouched for whoever reads it.
    Returns the folder, or None if it was there before. Raises ``OSError`` with nothing left behind.
    """
    folder = submission_folder(submission)
    return folder if write_folder(folder, files) else None


def submission_files_discard(folder: Path) -> None:
    """Remove files whose row was not committed.

    Where the database cannot tell, they stay: a row without its files would be worse.
    """
    files_path = folder.relative_to(settings.ENVIRONMENT.dir_submission)
    if not Submission.objects.filter(files_path=str(files_path)).exists():
        remove_folder(folder)
