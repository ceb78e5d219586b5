"""``submissionfold/<id>/cancel/`` and ``retrain/``, and the admin's actions for them."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from runapp import dispatch
from runapp.contract import Outcome, SplitState, State
from runapp.models import SubmissionFold
from runapp.services.results import save_outcomes
from runapp.tests import factories
from runapp.tests.api.conftest import Caller
from runapp.tests.conftest import SentTask


@pytest.mark.parametrize("state", [State.TODO, State.TRAINED, State.VALIDATED])
def test_an_unfinished_fold_is_cancelled_at_once(api: Caller, state: State) -> None:
    fold = factories.make_fold(state=state)

    answer = api.post(f"submissionfold/{fold.pk}/cancel/", {})

    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["outcome"]) == ("ERROR", "cancelled")
    assert "Cancelled by ada." in answer.json()["log_messages"]
    assert dispatch.exchange().is_cancelled(fold.task_id)


def test_a_cancelled_fold_stays_so_whatever_its_runner_brings(api: Caller) -> None:
    fold = factories.make_fold()
    api.post(f"submissionfold/{fold.pk}/cancel/", {})
    dispatch.exchange().write_outcome(factories.make_outcome(fold))

    save_outcomes()

    fold.refresh_from_db()
    assert (fold.state, fold.outcome) == (State.ERROR, Outcome.CANCELLED)


def test_cancelling_twice_is_no_error(api: Caller) -> None:
    fold = factories.make_fold()
    first = api.post(f"submissionfold/{fold.pk}/cancel/", {}).json()
    second = api.post(f"submissionfold/{fold.pk}/cancel/", {})
    assert (second.status_code, second.json()) == (200, first)


@pytest.mark.parametrize("state", [State.TESTED, State.ERROR])
def test_a_finished_fold_cannot_be_cancelled(api: Caller, state: State) -> None:
    fold = factories.make_fold(state=state)
    answer = api.post(f"submissionfold/{fold.pk}/cancel/", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    fold.refresh_from_db()
    assert fold.state == state


@pytest.mark.parametrize("action", ["cancel", "retrain"])
def test_what_is_not_there_is_a_404(api: Caller, action: str) -> None:
    answer = api.post(f"submissionfold/12345/{action}/", {})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("state", list(State))
def test_a_fold_is_trained_anew_with_a_fresh_task(
    api: Caller, sent_tasks: list[SentTask], state: State
) -> None:
    fold = factories.make_fold(state=state, attempts=2, log_messages="former")

    answer = api.post(f"submissionfold/{fold.pk}/retrain/", {})

    assert answer.status_code == 200
    again = answer.json()
    assert (again["state"], again["outcome"], again["attempts"], again["new"]) == ("TODO", "", 0, True)
    assert (again["log_messages"], again["test_predictions"]) == ("", "")
    assert again["task_id"] != fold.task_id
    assert [task.task_id for task in sent_tasks] == [again["task_id"]]
    assert dispatch.exchange().is_cancelled(fold.task_id)


def test_a_fold_of_an_unsplit_data_set_cannot_be_trained_anew(api: Caller) -> None:
    submission = factories.make_submission(factories.make_raw_data(SplitState.NONE))
    fold = factories.make_fold(submission, state=State.ERROR)
    answer = api.post(f"submissionfold/{fold.pk}/retrain/", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "split_missing")
    assert SubmissionFold.objects.get().state == State.ERROR


def test_the_admin_cancels_and_retrains(
    admin_client: Client, admin_user: User, django_capture_on_commit_callbacks: object
) -> None:
    running, finished = factories.make_fold(), factories.make_fold(state=State.TESTED)
    page = reverse("admin:runapp_submissionfold_changelist")
    chosen = {"_selected_action": [running.pk, finished.pk]}

    answer = admin_client.post(page, {"action": "cancel", **chosen}, follow=True)

    texts = [str(message) for message in answer.context["messages"]]
    assert texts == [f"the fold {finished.pk} is finished: TESTED", "1 folds are cancelled."]
    running.refresh_from_db()
    assert running.outcome == Outcome.CANCELLED
    admin_client.post(page, {"action": "retrain", **chosen})
    assert set(SubmissionFold.objects.values_list("state", flat=True)) == {State.TODO}
