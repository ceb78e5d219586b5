"""The admin pages of the three models: what staff find, what actions do, and what it costs."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models.signals import post_delete
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.authtoken.models import Token

from runapp.contract import Priority, State
from runapp.dispatch import new_task_id
from runapp.models import RawData, Submission, SubmissionFold
from runapp.tests import factories

pytestmark = pytest.mark.django_db

FOLDS = "/admin/runapp/submissionfold/"
MOST_QUERIES = 15


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


def act(client: Client, action: str, *fold_ids: int) -> str:
    answer = client.post(FOLDS, {"action": action, "_selected_action": fold_ids}, follow=True)
    assert answer.status_code == 200
    return " ".join(re.findall(r'<li class="(?:success|warning|error)">(.*?)</li>', answer.content.decode()))


def listed(client: Client, query: str, path: str = FOLDS) -> list[int]:
    """The rows of a list, in its order."""
    page = client.get(f"{path}?{query}").content.decode()
    return [int(number) for number in re.findall(r'name="_selected_action" value="(\d+)"', page)]


def test_actions_call_the_services_and_say_what_happened(staff: Client) -> None:
    waiting, tested = factories.make_fold(), factories.make_fold(state=State.TESTED)

    words = act(staff, "cancel", waiting.pk, tested.pk)

    waiting.refresh_from_db()
    assert waiting.outcome == "cancelled"
    assert "1 folds are cancelled" in words
    assert f"he fold {tested.pk} is finished" in words


def test_a_waiting_fold_is_taken_first_and_a_finished_one_is_trained_anew(staff: Client) -> None:
    waiting, tested = factories.make_fold(), factories.make_fold(state=State.TESTED)

    act(staff, "raise_priority", waiting.pk)
    act(staff, "retrain", tested.pk)

    waiting.refresh_from_db()
    tested.refresh_from_db()
    assert (waiting.priority, tested.state) == (Priority.HIGH, State.TODO)


def test_staff_with_the_permission_to_look_may_look_and_no_more(client: Client) -> None:
    fold = factories.make_fold()
    user = User.objects.create(username="looker", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_submissionfold"))
    client.force_login(user)

    page = client.get(FOLDS).content.decode()
    client.post(FOLDS, {"action": "cancel", "_selected_action": [fold.pk]})

    fold.refresh_from_db()
    assert fold.state == State.TODO
    assert str(fold.pk) in page
    assert 'value="cancel"' not in page
    assert client.get("/admin/runapp/rawdata/").status_code == 403


def test_search_finds_folds_by_id_submission_task_runner_and_owner(staff: Client) -> None:
    fold = factories.make_fold(runner="runner@host1", owner=factories.make_account("anne"))
    factories.make_fold(runner="runner@host2")

    for query in (
        fold.pk,
        fold.databoard_s_id,
        fold.task_id,
        "runner@host1",
        "ANNE",
        f"{fold.pk} runner@host1",
    ):
        assert listed(staff, f"q={query}") == [fold.pk], query
    for query in ("99999999999999999999", "nothing", f"{fold.pk} nothing"):
        assert listed(staff, f"q={query}") == [], query


def test_lists_begin_with_what_was_posted_last(staff: Client) -> None:
    # Ids come from the callers, and need not grow.
    folds = [factories.make_fold(pk=number) for number in (12, 30, 21)]

    newest_first = [fold.pk for fold in reversed(folds)]
    assert listed(staff, "") == newest_first
    for model, rows in (
        ("submission", [fold.databoard_s_id for fold in folds]),
        ("rawdata", [fold.databoard_s.raw_data_id for fold in folds if fold.databoard_s]),
    ):
        assert listed(staff, "", f"/admin/runapp/{model}/") == list(reversed(rows)), model


def test_pages_link_to_what_belongs_together(staff: Client) -> None:
    fold = factories.make_fold(owner=factories.make_account("anne"))
    factories.make_fold()
    submission = fold.databoard_s
    assert submission is not None and submission.raw_data is not None and submission.owner is not None

    page = staff.get(f"{FOLDS}?q={fold.pk}").content.decode()
    of_data = staff.get(f"/admin/runapp/rawdata/{submission.raw_data.pk}/change/").content.decode()

    for address in (
        f"/admin/runapp/submission/{submission.pk}/change/",
        f"/admin/runapp/rawdata/{submission.raw_data.pk}/change/",
        f"/admin/auth/user/{submission.owner.pk}/change/",
    ):
        assert address in page
    queries = re.findall(rf'href="{FOLDS}\?([^"]+)"', of_data)
    assert [listed(staff, query) for query in queries] == [[fold.pk]]
    assert listed(staff, f"databoard_s__databoard_s_id__exact={submission.pk}") == [fold.pk]


@pytest.mark.parametrize(("address", "is_linked"), [("/flower/", True), ("", False)])
def test_a_fold_leads_to_its_task_in_flower_where_there_is_one(
    staff: Client, settings: Settings, address: str, is_linked: bool
) -> None:
    settings.FLOWER_URL = address
    fold = factories.make_fold()

    assert (f"/flower/task/{fold.task_id}" in staff.get(FOLDS).content.decode()) == is_linked


def test_deleting_a_data_set_says_how_much_goes_and_stops_what_runs(
    staff: Client, django_capture_on_commit_callbacks: Any
) -> None:
    fold = factories.make_fold()
    factories.make_fold(fold.databoard_s, state=State.TESTED)
    assert fold.databoard_s is not None
    address = f"/admin/runapp/rawdata/{fold.databoard_s.raw_data_id}/delete/"

    asked = staff.get(address).content.decode()
    loaded: list[bool] = []

    def note(instance: SubmissionFold, **_: Any) -> None:
        loaded.append("test_predictions" not in instance.get_deferred_fields())

    post_delete.connect(note, sender=SubmissionFold)
    with django_capture_on_commit_callbacks() as after:
        staff.post(address, {"post": "yes"})
    post_delete.disconnect(note, sender=SubmissionFold)

    assert "2 submissions on folds" in asked
    assert "1 submissions" in asked
    assert not RawData.objects.exists() and not SubmissionFold.objects.exists()
    assert loaded == [False, False]
    assert len(after) == 1  # the unfinished one is cancelled


def test_staff_revoke_tokens_and_see_none(staff: Client) -> None:
    user = factories.make_account("anne")
    key = Token.objects.create(user=user).key

    pages = [staff.get(f"/admin/auth/user/{tail}").content for tail in ("", f"{user.pk}/change/")]
    staff.post("/admin/auth/user/", {"action": "revoke_tokens", "_selected_action": [user.pk]})

    assert not any(key.encode() in page for page in pages)
    assert staff.get("/admin/authtoken/tokenproxy/").status_code == 404
    assert not Token.objects.exists()


@pytest.fixture
def many_folds() -> int:
    """The id of one of 100,000 folds of 1,000 submissions."""
    raw_data = factories.make_raw_data(name="many")
    submissions = Submission.objects.bulk_create(
        Submission(databoard_s_id=number, files_path="", files_hash="", raw_data=raw_data)
        for number in range(1000)
    )
    predictions = factories.predictions()
    folds = (
        SubmissionFold(
            databoard_sf_id=number, databoard_s=submissions[number % 1000], task_id=new_task_id(),
            state=State.TESTED, outcome="ok", train_is="", test_is="", **predictions,
        )
        for number in range(100_000)
    )  # fmt: skip
    SubmissionFold.objects.bulk_create(folds, batch_size=2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does; within the test's transaction it sees nothing
    return 4711


@pytest.mark.slow
def test_with_100000_folds_no_page_takes_more_than_15_queries_or_loads_predictions(
    staff: Client, many_folds: int
) -> None:
    data_set = RawData.objects.get(name="many").pk
    for path in (
        FOLDS, f"{FOLDS}?state__exact=TESTED&o=9", f"{FOLDS}?p=90", f"{FOLDS}?q={many_folds}",
        f"{FOLDS}?q=nobody", f"{FOLDS}{many_folds}/change/", f"{FOLDS}{many_folds}/delete/",
        f"{FOLDS}{many_folds}/history/", "/admin/runapp/submission/", "/admin/runapp/submission/7/change/",
        "/admin/runapp/submission/7/delete/", "/admin/runapp/rawdata/",
        f"/admin/runapp/rawdata/{data_set}/change/", f"/admin/runapp/rawdata/{data_set}/delete/", "/admin/",
    ):  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            answer = staff.get(path)
        assert answer.status_code == 200, path
        assert len(queries) <= MOST_QUERIES, path
        assert len(answer.content) < 1_000_000, path
        assert not any(
            '"test_predictions"' in query["sql"] or '"train_is"' in query["sql"] for query in queries
        )
