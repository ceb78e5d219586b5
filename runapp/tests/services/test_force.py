"""``force``: what is replaced, what is cancelled, and what stays untouched."""

from pathlib import Path

import pytest

from runapp.contract import Outcome, State
from runapp.environment import Environment
from runapp.errors import InvalidInput
from runapp.exchange import Exchange
from runapp.models import Submission, SubmissionFold
from runapp.services.folds import force_parse
from runapp.services.results import save_outcomes
from runapp.tests import factories
from runapp.tests.conftest import SentTask
from runapp.tests.services.conftest import Submit

OLD, OTHER = {"classifier.py": b"old"}, {"classifier.py": b"other"}


@pytest.fixture
def fold(submit: Submit) -> SubmissionFold:
    """Fold 11 of submission 1, sent with the old files."""
    return submit(raw_data_id=factories.make_raw_data().pk, files=OLD)


def code_of(task: SentTask, environment: Environment) -> dict[str, bytes]:
    folder: Path = environment.dir_submission / task.message["submission_folder"]
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("force", ["submission_fold", "submission", "submission,submission_fold"])
def test_a_forced_fold_gets_a_fresh_task_and_the_older_one_is_cancelled(
    submit: Submit, fold: SubmissionFold, exchange: Exchange, sent_tasks: list[SentTask], force: str
) -> None:
    again = submit(force=force)

    assert again.task_id != fold.task_id
    assert [task.task_id for task in sent_tasks] == [fold.task_id, again.task_id]
    assert exchange.is_cancelled(fold.task_id)
    assert not exchange.is_cancelled(again.task_id)


@pytest.mark.parametrize("state", [State.TRAINED, State.TESTED, State.ERROR])
def test_a_forced_fold_forgets_whatever_the_older_run_brought(
    submit: Submit, fold: SubmissionFold, exchange: Exchange, state: State
) -> None:
    if state is State.TRAINED:
        SubmissionFold.objects.update(state=state)
    else:
        outcome = Outcome.OK if state is State.TESTED else Outcome.TIMEOUT
        exchange.write_outcome(factories.make_outcome(fold, outcome=outcome, log_messages="old"))
        save_outcomes()
        SubmissionFold.objects.update(new=False)

    again = submit(force="submission_fold")

    assert (again.state, again.outcome, again.log_messages, again.new) == ("TODO", "", "", True)
    assert (again.test_predictions, again.full_train_predictions_shape) == ("", None)
    assert (again.train_time, again.train_memory, again.runner) == (0, 0, "")
    assert (again.times_sent, again.started_at, again.saved_at) == (1, None, None)


def test_a_forced_fold_takes_what_was_posted_with_it(submit: Submit, fold: SubmissionFold) -> None:
    rows = factories.encoded_indices([3])

    again = submit(force="submission_fold", train_is=rows, test_is=rows)

    assert (again.train_is, again.test_is) == (rows, rows)


def test_the_outcome_of_the_older_run_is_refused(
    submit: Submit, fold: SubmissionFold, exchange: Exchange
) -> None:
    again = submit(force="submission_fold")
    exchange.write_outcome(factories.make_outcome(fold))

    save_outcomes()

    again.refresh_from_db()
    assert again.state == State.TODO
    assert list(exchange.outcome_files()) == []


def test_a_forced_submission_never_runs_the_older_code(
    submit: Submit, fold: SubmissionFold, environment: Environment, sent_tasks: list[SentTask]
) -> None:
    submit(fold_id=12, files=None)
    submit(force="submission", files=OTHER)

    newest = {task.message["fold_id"]: task for task in sent_tasks}
    assert code_of(newest[11], environment) == code_of(newest[12], environment) == OTHER
    assert Submission.objects.get().files_path == newest[11].message["submission_folder"]


def test_files_under_a_running_fold_stay_as_they_are(
    submit: Submit, fold: SubmissionFold, environment: Environment, sent_tasks: list[SentTask]
) -> None:
    submit(force="submission", files=OTHER)

    assert code_of(sent_tasks[0], environment) == OLD


def test_unfinished_folds_of_a_replaced_submission_start_anew(
    submit: Submit, fold: SubmissionFold, exchange: Exchange
) -> None:
    unfinished = submit(fold_id=12)
    SubmissionFold.objects.filter(pk=12).update(state=State.VALIDATED)
    submit(force="submission", files=OTHER)

    started = SubmissionFold.objects.get(pk=12)
    assert started.task_id != unfinished.task_id
    assert (started.state, started.times_sent) == (State.TODO, 1)
    assert exchange.is_cancelled(unfinished.task_id)


def test_finished_folds_of_a_replaced_submission_keep_their_results(
    submit: Submit, fold: SubmissionFold, exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    finished = submit(fold_id=12)
    exchange.write_outcome(factories.make_outcome(finished))
    save_outcomes()

    submit(force="submission", files=OTHER)

    kept = SubmissionFold.objects.get(pk=12)
    assert (kept.task_id, kept.state) == (finished.task_id, State.TESTED)
    assert kept.test_predictions


def test_folds_of_other_submissions_are_left_alone(
    submit: Submit, fold: SubmissionFold, exchange: Exchange
) -> None:
    other = submit(fold_id=21, submission_id=2, raw_data_id=factories.make_raw_data().pk, files=OLD)

    submit(force="submission", files=OTHER)

    assert SubmissionFold.objects.get(pk=21).task_id == other.task_id
    assert not exchange.is_cancelled(other.task_id)


def test_force_for_a_submission_that_is_not_there_yet_does_no_harm(submit: Submit) -> None:
    raw_data = factories.make_raw_data()

    assert submit(raw_data_id=raw_data.pk, files=OLD, force="submission,submission_fold").pk == 11


def test_force_with_the_same_files_leaves_the_other_folds_alone(submit: Submit, fold: SubmissionFold) -> None:
    other = submit(fold_id=12)

    submit(force="submission", files=OLD)

    assert SubmissionFold.objects.get(pk=12).task_id == other.task_id


def test_force_may_move_a_submission_to_another_data_set(submit: Submit, fold: SubmissionFold) -> None:
    other = factories.make_raw_data()

    submit(force="submission", files=OLD, raw_data_id=other.pk)

    assert Submission.objects.get().raw_data == other


def test_files_that_come_back_are_found_in_their_place(
    submit: Submit, fold: SubmissionFold, environment: Environment, sent_tasks: list[SentTask]
) -> None:
    submit(force="submission", files=OTHER)
    submit(force="submission", files=OLD)

    assert sent_tasks[0].message["submission_folder"] == sent_tasks[-1].message["submission_folder"]
    assert code_of(sent_tasks[-1], environment) == OLD


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, set()), ("", set()), (" , ", set()), ("submission", {"submission"}),
        ("submission_fold", {"submission_fold"}),
        (" submission , submission_fold,", {"submission", "submission_fold"}),
    ],
)  # fmt: skip
def test_force_is_a_comma_separated_set(text: str | None, names: set[str]) -> None:
    assert force_parse(text) == names


def test_an_unknown_word_in_force_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'all' is not one of submission, submission_fold"):
        force_parse("submission,all")
