"""Folds that were posted before their data set was split."""

import pytest

from runapp.contract import MAX_ATTEMPTS, SplitState, State
from runapp.exchange import Exchange
from runapp.models import RawData, SubmissionFold
from runapp.services.folds import release_folds
from runapp.services.results import save_outcomes
from runapp.tests import factories
from runapp.tests.conftest import SentTask
from runapp.tests.services.conftest import Submit

CODE = {"classifier.py": b"code"}


@pytest.fixture
def raw_data(db: None) -> RawData:
    """A data set that is being split."""
    return factories.make_raw_data(SplitState.TODO)


@pytest.fixture
def fold(submit: Submit, raw_data: RawData) -> SubmissionFold:
    return submit(raw_data_id=raw_data.pk, files=CODE)


def test_a_waiting_fold_is_sent_when_its_split_is_done(
    fold: SubmissionFold, raw_data: RawData, exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    assert sent_tasks == []
    exchange.write_outcome(factories.make_split_outcome(raw_data))

    save_outcomes()

    assert [task.task_id for task in sent_tasks] == [fold.task_id]
    assert sent_tasks[0].message["n_train_rows"] == factories.N_TRAIN_ROWS
    raw_data.refresh_from_db()
    assert (raw_data.split_state, raw_data.n_test_rows) == ("DONE", factories.N_TEST_ROWS)


def test_a_failed_split_fails_its_waiting_folds_with_its_own_error(
    fold: SubmissionFold, raw_data: RawData, exchange: Exchange, sent_tasks: list[SentTask]
) -> None:
    exchange.write_outcome(
        factories.make_split_outcome(
            raw_data, ok=False, log_messages="KeyError: 'flux'", n_train_rows=None, n_test_rows=None
        )
    )

    save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome) == ("ERROR", "data_error")
    assert "KeyError: 'flux'" in fold.log_messages
    assert sent_tasks == []


@pytest.mark.parametrize("field", ["train_is", "test_is"])
def test_indices_beyond_the_training_set_fail_the_fold_when_its_size_is_known(
    submit: Submit, raw_data: RawData, exchange: Exchange, sent_tasks: list[SentTask], field: str
) -> None:
    rows = factories.encoded_indices([0, factories.N_TRAIN_ROWS])
    fold = submit(raw_data_id=raw_data.pk, files=CODE, **{field: rows})
    exchange.write_outcome(factories.make_split_outcome(raw_data))

    save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome) == ("ERROR", "data_error")
    assert fold.log_messages == (f"{field}: the index 6 is not within the training set, which has 6 rows")
    assert sent_tasks == []


@pytest.mark.parametrize(
    "changes",
    [{"n_train_rows": None}, {"n_train_rows": 0}, {"n_test_rows": -1}, {"n_train_rows": 2**70}],
)
def test_a_split_whose_answer_makes_no_sense_fails_its_waiting_folds(
    fold: SubmissionFold, raw_data: RawData, exchange: Exchange, changes: dict[str, int | None]
) -> None:
    RawData.objects.filter(pk=raw_data.pk).update(split_attempts=MAX_ATTEMPTS - 1)
    exchange.write_outcome(factories.make_split_outcome(raw_data, **changes))

    save_outcomes()

    raw_data.refresh_from_db()
    fold.refresh_from_db()
    assert raw_data.split_state == SplitState.ERROR
    assert "could not be used" in raw_data.split_log
    assert (fold.state, fold.outcome) == ("ERROR", "data_error")
    assert list(exchange.outcome_files()) == []


@pytest.mark.parametrize("ok", [True, False])
def test_the_outcome_of_an_older_split_changes_nothing(
    raw_data: RawData, exchange: Exchange, ok: bool
) -> None:
    older = factories.make_split_outcome(raw_data, ok=ok, n_train_rows=99)
    RawData.objects.ask_split(
        raw_data.pk, task_id="00000000-0000-4000-8000-000000000001", held_out_test=0.5, random_state=1
    )
    exchange.write_outcome(older)

    save_outcomes()

    raw_data.refresh_from_db()
    assert (raw_data.split_state, raw_data.n_train_rows) == (SplitState.TODO, None)
    assert list(exchange.outcome_files()) == []


def test_a_fold_whose_data_set_was_deleted_ends(submit: Submit, fold: SubmissionFold) -> None:
    SubmissionFold.objects.update(databoard_s=None)

    assert release_folds() == 0
    fold.refresh_from_db()
    assert (fold.state, fold.outcome) == (State.ERROR, "data_error")
