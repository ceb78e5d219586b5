"""The page of a fold, what may be done with it, and its predictions as files."""

import io
import re
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from runapp import dispatch
from runapp.contract import Outcome, Priority, State
from runapp.encodings import encode_predictions
from runapp.messages import FoldMark
from runapp.models import SubmissionFold
from runapp.models.rights import Role
from runapp.tests import factories
from runapp.tests.conftest import SentTask
from runapp.tests.dashboard.conftest import MakeReader, Reader

pytestmark = pytest.mark.django_db

PARTS = ["train", "test"]


@pytest.fixture
def own_fold(ada: Reader) -> SubmissionFold:
    return factories.make_fold(factories.make_submission(owner=ada.user), sent_at=timezone.now())


def test_a_failed_fold_says_why(staff: Reader) -> None:
    fold = factories.make_fold(state=State.ERROR, outcome=Outcome.MEMORY, log_messages="Killed: it used 9 GB")

    page = staff.text(f"/folds/{fold.pk}/")

    assert "Why it failed" in page
    assert "Killed: it used 9 GB" in page
    assert "memory" in page


def test_a_long_log_is_cut_at_its_beginning(staff: Reader) -> None:
    fold = factories.make_fold(state=State.TESTED, log_messages="first" + "x" * 200_000 + "last")

    page = staff.text(f"/folds/{fold.pk}/")

    assert "last" in page
    assert len(page) < 150_000


def test_the_page_of_a_finished_fold_asks_for_nothing_more(staff: Reader) -> None:
    finished, unfinished = factories.make_fold(state=State.TESTED), factories.make_fold()

    assert "hx-trigger" not in staff.text(f"/folds/{finished.pk}/")
    assert "hx-trigger" in staff.text(f"/folds/{unfinished.pk}/")


def test_what_a_running_fold_prints_is_shown_harmless(staff: Reader) -> None:
    fold = factories.make_fold(sent_at=timezone.now(), started_at=timezone.now(), runner="runner@host")
    dispatch.exchange().write_output(fold.task_id, "epoch 1\x1b[2J <script>alert(1)</script>")

    page = staff.text(f"/folds/{fold.pk}/")

    assert "Log so far" in page
    assert "epoch 1 &lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_fold_shows_at_once_what_its_runner_says(staff: Reader) -> None:
    fold = factories.make_fold(sent_at=timezone.now())
    started_at = timezone.now().timestamp()
    mark = FoldMark(
        fold_id=fold.pk, task_id=fold.task_id, attempt=1, runner="first@host", holder="it",
        state=State.TRAINED, started_at=started_at, trained_at=started_at + 2.0,
    )  # fmt: skip
    dispatch.exchange().write_mark(mark)

    page = staff.text(f"/folds/{fold.pk}/")

    assert 'TRAINED</span> <span class="dim">validating' in page
    assert "first@host" in page
    assert "Raise priority" not in page
    fold.refresh_from_db()
    assert fold.state == State.TODO  # a look changes nothing


def test_a_mark_that_makes_no_sense_changes_no_page(staff: Reader) -> None:
    fold = factories.make_fold(sent_at=timezone.now())
    dispatch.exchange().write_output(fold.task_id, "")
    (dispatch.exchange().folder / "marks").mkdir()
    (dispatch.exchange().folder / "marks" / f"{fold.task_id}.json").write_text('{"kind": "fold_mark"}')

    assert "queued" in staff.text(f"/folds/{fold.pk}/")


def test_what_a_finished_fold_left_on_the_disk_is_not_shown(staff: Reader) -> None:
    fold = factories.make_fold(state=State.TESTED, log_messages="all of it")
    dispatch.exchange().write_output(fold.task_id, "half of it")

    page = staff.text(f"/folds/{fold.pk}/")

    assert "all of it" in page
    assert "half of it" not in page


def test_nobody_else_sees_or_changes_a_fold(own_fold: SubmissionFold, eve: Reader) -> None:
    for path in ("", "cancel/", "retrain/", "priority/", "train-predictions.npy", "test-predictions.csv"):
        assert eve.get(f"/folds/{own_fold.pk}/{path}").status_code == 404
    for action in ("cancel", "retrain", "priority"):
        assert eve.post(f"/folds/{own_fold.pk}/{action}/").status_code == 404
        assert eve.post(f"/submissions/{own_fold.databoard_s_id}/{action}/").status_code == 404
    own_fold.refresh_from_db()
    assert (own_fold.state, own_fold.priority) == (State.TODO, Priority.LOW)


def test_an_observer_looks_and_changes_nothing(own_fold: SubmissionFold, reader: MakeReader) -> None:
    observer = reader("otto", Role.OBSERVER)

    page = observer.text(f"/folds/{own_fold.pk}/")

    assert "Cancel" not in page
    assert observer.post(f"/folds/{own_fold.pk}/cancel/").status_code == 404


@pytest.mark.parametrize("action", ["cancel", "retrain", "priority"])
def test_nothing_is_done_before_it_is_confirmed(
    own_fold: SubmissionFold, ada: Reader, action: str, sent_tasks: list[SentTask]
) -> None:
    page = ada.text(f"/folds/{own_fold.pk}/{action}/")

    assert 'method="post"' in page
    assert "csrfmiddlewaretoken" in page
    own_fold.refresh_from_db()
    assert (own_fold.state, own_fold.priority, sent_tasks) == (State.TODO, Priority.LOW, [])


def test_a_button_without_its_csrf_token_does_nothing(own_fold: SubmissionFold, ada: Reader) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada.user)

    assert client.post(f"/folds/{own_fold.pk}/cancel/").status_code == 403
    own_fold.refresh_from_db()
    assert own_fold.state == State.TODO


def test_a_fold_is_cancelled(own_fold: SubmissionFold, ada: Reader) -> None:
    page = ada.post(f"/folds/{own_fold.pk}/cancel/")

    own_fold.refresh_from_db()
    assert own_fold.outcome == Outcome.CANCELLED
    assert dispatch.exchange().is_cancelled(own_fold.task_id)
    assert f"Fold {own_fold.pk} is cancelled." in page.content.decode()


def test_a_fold_is_trained_anew(own_fold: SubmissionFold, ada: Reader, sent_tasks: list[SentTask]) -> None:
    ada.post(f"/folds/{own_fold.pk}/retrain/")

    former = own_fold.task_id
    own_fold.refresh_from_db()
    assert own_fold.task_id != former
    assert [task.task_id for task in sent_tasks] == [own_fold.task_id]


def test_a_fold_is_given_high_priority(
    own_fold: SubmissionFold, ada: Reader, sent_tasks: list[SentTask]
) -> None:
    ada.post(f"/folds/{own_fold.pk}/priority/")

    own_fold.refresh_from_db()
    assert own_fold.priority == Priority.HIGH
    assert [task.queue for task in sent_tasks] == ["H"]


def test_what_cannot_be_done_is_said(ada: Reader) -> None:
    fold = factories.make_fold(factories.make_submission(owner=ada.user), state=State.TESTED)

    page = ada.post(f"/folds/{fold.pk}/cancel/").content.decode()

    assert f"The fold {fold.pk} is finished: TESTED." in page


def test_all_folds_of_a_submission_that_it_suits_are_changed(ada: Reader, sent_tasks: list[SentTask]) -> None:
    submission = factories.make_submission(owner=ada.user)
    states = (State.TODO, State.TRAINED, State.TESTED, State.ERROR)
    folds = {state: factories.make_fold(submission, state=state) for state in states}

    retrained = ada.post(f"/submissions/{submission.pk}/retrain/").content.decode()
    assert "1 folds are to be trained anew." in retrained
    assert [task.message["fold_id"] for task in sent_tasks] == [folds[State.ERROR].pk]

    cancelled = ada.post(f"/submissions/{submission.pk}/cancel/").content.decode()
    assert "3 folds are cancelled." in cancelled
    folds[State.TESTED].refresh_from_db()
    assert folds[State.TESTED].state == State.TESTED


@pytest.mark.parametrize(
    "path", ["folds/{}/explode/", "submissions/{}/explode/", "folds/{}/x-predictions.npy"]
)
def test_what_is_not_there_is_a_404(own_fold: SubmissionFold, staff: Reader, path: str) -> None:
    number = own_fold.databoard_s_id if path.startswith("sub") else own_fold.pk
    assert staff.get(f"/{path.format(number)}").status_code == 404


def _file(reader: Reader, fold: SubmissionFold, name: str) -> Any:
    answer = reader.get(f"/folds/{fold.pk}/{name}")
    assert answer.status_code == 200
    return answer, b"".join(answer.streaming_content)


@pytest.mark.parametrize("shape", [(3, 2), (3,), (40_000, 7), (3, 2, 2), (1, 1)])
def test_predictions_are_a_file_that_numpy_reads_without_pickle(
    staff: Reader, shape: tuple[int, ...]
) -> None:
    wanted = np.random.default_rng(1).normal(size=shape)
    fold = factories.make_fold(
        state=State.TESTED, test_predictions=encode_predictions(wanted), test_predictions_shape=list(shape)
    )

    answer, content = _file(staff, fold, "test-predictions.npy")

    found = np.load(io.BytesIO(content), allow_pickle=False)
    assert found.dtype == np.dtype("<f8")
    np.testing.assert_array_equal(found, wanted)
    assert f'filename="fold{fold.pk}-test-predictions.npy"' in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("shape", [(3, 2), (3,), (40_000, 7)])
def test_predictions_as_csv_are_the_same_numbers(staff: Reader, shape: tuple[int, ...]) -> None:
    wanted = np.random.default_rng(2).normal(size=shape)
    fold = factories.make_fold(
        state=State.TESTED,
        full_train_predictions=encode_predictions(wanted),
        full_train_predictions_shape=list(shape),
    )

    _, content = _file(staff, fold, "train-predictions.csv")

    heading, _, lines = content.decode().partition("\n")
    assert heading.split(",")[0] == "prediction_0"
    np.testing.assert_array_equal(np.loadtxt(io.StringIO(lines), delimiter=",").reshape(shape), wanted)


def test_downloading_predictions_does_not_hand_them_out(staff: Reader) -> None:
    fold = factories.make_fold(state=State.TESTED)
    _file(staff, fold, "test-predictions.npy")
    fold.refresh_from_db()
    assert fold.new


@pytest.mark.parametrize("part", PARTS)
def test_a_fold_without_predictions_has_no_file(staff: Reader, part: str) -> None:
    fold = factories.make_fold(state=State.ERROR)
    assert staff.get(f"/folds/{fold.pk}/{part}-predictions.npy").status_code == 404
    assert not re.search("predictions.npy", staff.text(f"/folds/{fold.pk}/"))
