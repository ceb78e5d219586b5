"""Who may see and change which data sets, submissions and folds."""

from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import CaptureQueriesContext

from runapp.contract import State
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.rights import PERMISSIONS, Person, Role
from runapp.tests import factories

pytestmark = pytest.mark.django_db

ALL = {"anne's", "bob's", "nobody's"}


@pytest.fixture
def people() -> dict[str, Person]:
    """Everybody who may ask: two organizers, two submitters, an observer, staff and outsiders."""
    accounts: dict[str, Person] = {
        "olga": factories.make_account("olga"),
        "otto": factories.make_account("otto"),
        "anne": factories.make_account("anne", role=Role.SUBMITTER),
        "bob": factories.make_account("bob", role=Role.SUBMITTER),
        "observer": factories.make_account("observer", role=Role.OBSERVER),
        "without a role": factories.make_account("none", role=None),
        "staff": factories.make_account("staff", role=None, is_staff=True),
        "superuser": factories.make_account("root", role=None, is_superuser=True),
        "locked staff": factories.make_account("locked", role=None, is_staff=True, is_active=False),
        "anonymous": AnonymousUser(),
    }
    olgas = factories.make_raw_data(name="olga's", owner=accounts["olga"])
    ottos = factories.make_raw_data(name="otto's", owner=accounts["otto"])
    nobodys = factories.make_raw_data(name="nobody's", owner=None)
    for number, (raw_data, owner) in enumerate(
        ((olgas, accounts["anne"]), (ottos, accounts["bob"]), (nobodys, None))
    ):
        submission = factories.make_submission(raw_data, owner=owner, databoard_s_id=number)
        factories.make_fold(submission, owner=owner, databoard_sf_id=number, state=State.TESTED)
    return accounts


def submissions(queryset: Any) -> set[str]:
    """Whose submissions, or folds on them, a queryset holds."""
    names = ("anne's", "bob's", "nobody's")
    return {names[row.pk] for row in queryset}


SEES = {
    "olga": {"anne's"},
    "otto": {"bob's"},
    "anne": {"anne's"},
    "bob": {"bob's"},
    "observer": ALL,
    "without a role": set(),
    "staff": ALL,
    "superuser": ALL,
    "locked staff": set(),
    "anonymous": set(),
}


@pytest.mark.parametrize(("who", "whose"), SEES.items())
def test_submissions_and_folds_are_seen_by_their_owner_their_organizer_observers_and_staff(
    people: dict[str, Person], who: str, whose: set[str]
) -> None:
    assert submissions(Submission.objects.visible_to(people[who])) == whose
    assert submissions(SubmissionFold.objects.visible_to(people[who])) == whose


@pytest.mark.parametrize(("who", "whose"), (SEES | {"observer": set()}).items())
def test_submissions_and_folds_are_changed_by_their_owner_their_organizer_and_staff(
    people: dict[str, Person], who: str, whose: set[str]
) -> None:
    assert submissions(Submission.objects.changeable_by(people[who])) == whose
    assert submissions(SubmissionFold.objects.changeable_by(people[who])) == whose


DATA = {"olga's", "otto's", "nobody's"}


@pytest.mark.parametrize(
    ("who", "seen", "inside"),
    [
        ("olga", DATA, {"olga's"}),
        ("otto", DATA, {"otto's"}),
        ("anne", DATA, set()),
        ("observer", DATA, set()),
        ("without a role", DATA, set()),
        ("staff", DATA, DATA),
        ("superuser", DATA, DATA),
        ("anonymous", set(), set()),
    ],
)
def test_data_sets_are_seen_by_everybody_with_an_account_and_looked_into_by_their_organizer(
    people: dict[str, Person], who: str, seen: set[str], inside: set[str]
) -> None:
    data_sets, person = RawData.objects, people[who]

    assert {row.name for row in data_sets.visible_to(person)} == seen
    assert {row.name for row in data_sets.details_visible_to(person)} == inside
    assert {row.name for row in data_sets.changeable_by(person)} == inside


def test_an_organizer_who_becomes_an_observer_changes_nothing_any_more(people: dict[str, Person]) -> None:
    olga = User.objects.get(username="olga")
    olga.groups.set(Group.objects.filter(name=Role.OBSERVER.group))

    assert not RawData.objects.changeable_by(olga).exists()
    assert not Submission.objects.changeable_by(olga).exists()
    assert not SubmissionFold.objects.changeable_by(olga).exists()


def test_results_wait_for_who_posted_the_fold_and_for_staff_if_nobody_did(people: dict[str, Person]) -> None:
    waiting = {
        who: submissions(SubmissionFold.objects.handed_out_to(person)) for who, person in people.items()
    }

    assert {who: whose for who, whose in waiting.items() if whose} == {
        "anne": {"anne's"}, "bob": {"bob's"}, "staff": {"nobody's"}, "superuser": {"nobody's"},
    }  # fmt: skip


def test_a_fold_of_a_deleted_submission_is_its_posters(people: dict[str, Person]) -> None:
    fold = factories.make_fold(databoard_s=None, owner=people["anne"])

    assert fold in SubmissionFold.objects.visible_to(people["anne"])
    assert fold not in SubmissionFold.objects.visible_to(people["olga"])
    assert fold not in SubmissionFold.objects.visible_to(people["bob"])


@pytest.mark.parametrize("role", Role)
def test_the_groups_have_the_permissions_of_their_roles(role: Role) -> None:
    group = Group.objects.get(name=role.group)

    assert {f"runapp.{permission.codename}" for permission in group.permissions.all()} == {*PERMISSIONS[role]}


@pytest.mark.parametrize("role", Role)
def test_a_group_that_was_deleted_is_made_again_with_its_first_member(role: Role) -> None:
    Group.objects.all().delete()

    person = factories.make_account("new", role=role)

    assert person.get_all_permissions() == {*PERMISSIONS[role]}


def test_permissions_are_those_of_the_account_and_of_its_groups_and_take_one_query() -> None:
    anne = factories.make_account("anne", role=Role.SUBMITTER)
    anne.user_permissions.add(Permission.objects.get(codename="upload_code"))
    wanted = ModelBackend().get_all_permissions(User.objects.get(pk=anne.pk))
    user = User.objects.get(pk=anne.pk)

    with CaptureQueriesContext(connection) as queries:
        found = user.get_all_permissions()
        assert user.has_perm("runapp.upload_code")

    assert found == wanted == {*PERMISSIONS[Role.SUBMITTER], "runapp.upload_code"}
    assert len(queries) == 1


@pytest.mark.django_db(transaction=True)
def test_who_had_an_account_before_there_were_roles_becomes_an_organizer() -> None:
    executor = MigrationExecutor(connection)
    last = executor.loader.graph.leaf_nodes("runapp")
    try:
        executor.migrate([("runapp", "0004_limits_of_data_sets")])
        Group.objects.all().delete()
        user = User.objects.create(username="former")
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(last)

    assert [group.name for group in user.groups.all()] == ["organizers"]
    assert user.get_all_permissions() == {*PERMISSIONS[Role.ORGANIZER]}
