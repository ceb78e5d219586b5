"""Folds: what a caller posts is checked, written whole or not at all, and sent after commit."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, transaction

from runapp import dispatch
from runapp.content import content_hash
from runapp.contract import Outcome, Priority, SplitState
from runapp.encodings import DecompressedTooLarge, Indices, NotEncoded, decode_indices
from runapp.errors import InvalidInput, SplitFailed, SplitNeverAsked, TooLarge
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.rights import ADD_SUBMISSION
from runapp.services.accounts import permission_check
from runapp.services.files import decode_files
from runapp.services.submissions import submission_files_discard, submission_files_write, submission_row

FORCE_SUBMISSION = "submission"
FORCE_FOLD = "submission_fold"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldRequest:
    """What a caller posts to have a submission trained on a fold."""

    fold_id: int
    submission_id: int
    train_is: str
    test_is: str
    priority: Priority = Priority.LOW
    raw_data_id: int | None = None
    #: Encoded contents by file name; None where the submission was sent before.
    files: Mapping[str, str] | None = None
    force: frozenset[str] = frozenset()

    @property
    def forces_submission(self) -> bool:
        return FORCE_SUBMISSION in self.force

    @property
    def forces_fold(self) -> bool:
        return bool(self.force)


def force_parse(text: str | None) -> frozenset[str]:
    """The set that the parameter ``force`` names; raises InvalidInput for anything unknown in it."""
    names = frozenset(part.strip() for part in (text or "").split(",") if part.strip())
    if unknown := names - {FORCE_SUBMISSION, FORCE_FOLD}:
        raise InvalidInput("force", f"{min(unknown)!r} is not one of {FORCE_SUBMISSION}, {FORCE_FOLD}")
    return names


def fold_submit(request: FoldRequest, *, owner: User) -> SubmissionFold:
    """Write a fold, and its submission where it is new or forced; it is trained when its data are split.

    Raises
    ------
    Forbidden
        If the owner may not hand in submissions.
    InvalidInput, TooLarge
        Naming the field and what is wrong with it; nothing is written then. Of an id that is somebody
        else's it says no more than that it is taken.
    SplitNeverAsked, SplitFailed
        If the data set will not be split.
    """
    permission_check(owner, ADD_SUBMISSION, to="hand in submissions")
    indices = fold_indices(request.train_is, request.test_is)
    if not indices[0].size:
        raise InvalidInput("train_is", "a fold needs at least one training index")
    files = None if request.files is None else decode_files(request.files)
    try:
        return _write(request, owner, indices, files)
    except IntegrityError:
        # Another request wrote the same id between our look and our insert: look again, once.
        return _write(request, owner, indices, files)


def _write(
    request: FoldRequest,
    owner: User,
    indices: tuple[Indices, Indices],
    files: Mapping[str, bytes] | None,
) -> SubmissionFold:
    """Write the rows and then the files, or neither."""
    made: Path | None = None
    try:
        with transaction.atomic():
            fold, submission = _write_rows(request, owner, indices, files)
            if files is not None:
                made = submission_files_write(submission, files)
    except DatabaseError:
        if made is not None:
            submission_files_discard(made)
        raise
    return fold


def fold_indices(train_is: str, test_is: str) -> tuple[Indices, Indices]:
    """The decoded indices; raises InvalidInput or TooLarge."""
    return _indices("train_is", train_is), _indices("test_is", test_is)


def _indices(field: str, text: str) -> Indices:
    limit = settings.MAX_DECOMPRESSED_BYTES
    try:
        return decode_indices(text, max_bytes=limit)
    except NotEncoded as error:
        raise InvalidInput(field, f"{error.message}; send base64(zlib(little-endian int64))") from None
    except DecompressedTooLarge:
        raise TooLarge(
            f"{field} decompresses to more than the {limit} bytes that this server accepts"
        ) from None


def _write_rows(
    request: FoldRequest,
    owner: User,
    indices: tuple[Indices, Indices],
    files: Mapping[str, bytes] | None,
) -> tuple[SubmissionFold, Submission]:
    submission, former = _known(request, owner)
    raw_data = _raw_data(request, submission)
    check_split(raw_data, indices)
    replaced = _replaces(request, submission, raw_data, files)
    if files is not None and (submission is None or replaced):
        submission = submission_row(
            submission_id=request.submission_id,
            owner=owner,
            raw_data=raw_data,
            files=files,
            former=submission,
        )
    if submission is None:
        raise InvalidInput("files", "the submission is new: send its files")
    fold = _fold_row(request, owner, submission, former)
    if replaced:
        _restart_others(submission, fold)
    transaction.on_commit(lambda: release_folds([fold.pk]), robust=True)
    return fold, submission


def _known(request: FoldRequest, owner: User) -> tuple[Submission | None, SubmissionFold | None]:
    """The rows of a request that are there already, locked, if the caller may have them changed."""
    submissions = Submission.objects.select_for_update(of=("self",)).with_is_own(owner)
    submission = submissions.filter(pk=request.submission_id).first()
    folds = SubmissionFold.objects.select_for_update(of=("self",))
    former = folds.filter(pk=request.fold_id).first()
    own = SubmissionFold.objects.changeable_by(owner).filter(pk=request.fold_id)
    if former is not None and not (request.forces_fold and own.exists()):
        raise InvalidInput("databoard_sf_id", "SubmissionFold with this databoard_sf_id already exists.")
    if submission is not None and not submission.is_own:
        raise InvalidInput("databoard_s_id", "Submission with this databoard_s_id already exists.")
    return submission, former


def _raw_data(request: FoldRequest, submission: Submission | None) -> RawData:
    """The data set of a request, which a known submission need not name again."""
    known = submission.raw_data if submission else None
    if request.raw_data_id is None:
        if known is None:
            raise InvalidInput("raw_data", "the submission is new: name its data set")
        return known
    if known is not None and known.pk != request.raw_data_id and not request.forces_submission:
        raise InvalidInput("raw_data", f"the submission belongs to the data set {known.pk}")
    raw_data = RawData.objects.filter(pk=request.raw_data_id).first()
    if raw_data is None:
        raise InvalidInput("raw_data", f"there is no data set {request.raw_data_id}")
    if request.files is None and known is not None and known.pk != raw_data.pk:
        raise InvalidInput("files", "send the files again to move a submission to another data set")
    return raw_data


def check_split(raw_data: RawData, indices: tuple[Indices, Indices]) -> None:
    """Raise SplitNeverAsked, SplitFailed or InvalidInput if a fold cannot be trained on a data set."""
    if raw_data.split_state == SplitState.NONE:
        door = "customsplit" if raw_data.custom else "split"
        raise SplitNeverAsked(f"the data set {raw_data.name} is not split yet: post to rawdata/{door}/ first")
    if raw_data.split_state == SplitState.ERROR:
        raise SplitFailed(
            f"splitting the data set {raw_data.name} failed, so it cannot be used: {raw_data.split_log}"
        )
    if raw_data.n_train_rows is not None:
        for field, rows in zip(("train_is", "test_is"), indices, strict=True):
            if beyond := _beyond(rows, raw_data.n_train_rows):
                raise InvalidInput(field, beyond)


def _beyond(rows: Indices, n_train_rows: int) -> str | None:
    """What is wrong with indices that do not lie within the training set."""
    if rows.size and rows.max() >= n_train_rows:
        return f"the index {rows.max()} is not within the training set, which has {n_train_rows} rows"
    return None


def _replaces(
    request: FoldRequest, submission: Submission | None, raw_data: RawData, files: Mapping[str, bytes] | None
) -> bool:
    """Whether the request puts other files in the place of a known submission's."""
    if submission is None or files is None:
        return False
    if submission.files_hash == content_hash(files) and submission.raw_data_id == raw_data.pk:
        return False
    if not request.forces_submission:
        raise InvalidInput(
            "databoard_s_id",
            "Submission with this databoard_s_id already exists, with other files; see force.",
        )
    return True


def _fold_row(
    request: FoldRequest, owner: User, submission: Submission, former: SubmissionFold | None
) -> SubmissionFold:
    if former is not None:
        start_anew(former)
    fold = former or SubmissionFold(databoard_sf_id=request.fold_id, task_id=dispatch.new_task_id())
    if former is not None:
        fold.refresh_from_db()
    fold.databoard_s = submission
    fold.train_is, fold.test_is = request.train_is, request.test_is
    fold.priority = request.priority.value
    fold.owner = owner
    fold.save(force_insert=former is None)
    return fold


def start_anew(fold: SubmissionFold) -> None:
    """Give a fold a fresh task; the former one is cancelled after commit."""
    former_task = fold.task_id
    SubmissionFold.objects.start_anew(fold.pk, task_id=dispatch.new_task_id())
    transaction.on_commit(lambda: dispatch.cancel(former_task), robust=True)


def _restart_others(submission: Submission, fold: SubmissionFold) -> None:
    """Unfinished folds of a replaced submission start anew: the older code is never run for its id again."""
    others = list(SubmissionFold.objects.filter(databoard_s=submission).unfinished().exclude(pk=fold.pk))
    for other in others:
        start_anew(other)
    transaction.on_commit(lambda: release_folds([other.pk for other in others]), robust=True)


def release_folds(fold_ids: Iterable[int] | None = None) -> int:
    """Send folds whose data are split, and fail those whose split failed; returns how many were sent.

    Called after commit, with the folds just written or all of them (None): whoever commits last, the
    fold or its split, sees the other.
    """
    waiting = SubmissionFold.objects.unsent().select_related("databoard_s__raw_data")
    if fold_ids is not None:
        waiting = waiting.filter(pk__in=list(fold_ids))
    n_sent = 0
    # A cursor for what may be very many costs three more round trips than it spares a single one.
    for fold in waiting.iterator(chunk_size=100) if fold_ids is None else waiting:
        raw_data = fold.databoard_s.raw_data if fold.databoard_s else None
        if raw_data is None:
            SubmissionFold.objects.fail([fold.pk], Outcome.DATA_ERROR, "the fold's data set was deleted")
        elif raw_data.split_state == SplitState.ERROR:
            story = f"splitting the data set failed:\n{raw_data.split_log}"
            SubmissionFold.objects.fail([fold.pk], Outcome.DATA_ERROR, story)
        elif raw_data.split_state == SplitState.DONE:
            wrong = _misfit(fold, raw_data.n_train_rows or 0)
            if wrong:
                SubmissionFold.objects.fail([fold.pk], Outcome.DATA_ERROR, wrong)
            elif not dispatch.send_fold(fold):
                break  # neither would the others be: the next sweep sends them
            else:
                n_sent += 1
    return n_sent


def _misfit(fold: SubmissionFold, n_train_rows: int) -> str | None:
    """What is wrong with indices that were posted before the size of the training set was known."""
    for field in ("train_is", "test_is"):
        if beyond := _beyond(_indices(field, getattr(fold, field)), n_train_rows):
            return f"{field}: {beyond}"
    return None
