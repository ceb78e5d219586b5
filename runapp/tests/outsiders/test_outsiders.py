"""Each route, method by method, asked by everybody: nobody sees or does what is not theirs."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver
from rest_framework.authtoken.models import Token

from runapp.contract import State
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.rights import Role
from runapp.services import health
from runapp.tests import factories
from runapp.tests.outsiders.doors import ACCOUNTS, DATA_ID, DOORS, FOLD_ID, NAMES, ORGANIZERS, SEERS, Door

METHODS = ("get", "post", "put", "patch", "delete")
ANNES, OLGAS = "known to anne alone", "known to olga alone"


def routes(patterns: list[Any] | None = None, before: str = "") -> Iterator[str]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from routes(pattern.url_patterns, route)


ROUTES = sorted(set(routes()))
_NO_PAGES = ("admin/login/", "admin/logout/")
ADMIN = [
    route for route in ROUTES if route.startswith("admin/") and route not in ("admin/login/", "admin/logout/")
]
OTHERS = [route for route in ROUTES if not route.startswith("admin/")]


def address(route: str) -> str:
    """A route's path for anne's submission and fold, or olga's data set."""
    path = re.sub(r"\^?\(\?P<\w+>(\w*)[^)]*\)(/?)\$", r"\1\2", route)
    for name, value in NAMES.items():
        path = path.replace(f"<str:{name}>", value)
    start, *rest = re.split(r"<[^>]+>", path)
    number = DATA_ID if "data/" in start or "data-sets/" in start else FOLD_ID
    return "/" + str(number).join([start, *rest])


@pytest.fixture(autouse=True)
def all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READINESS", ())  # there is no broker to wait for


@pytest.fixture
def people(db: None) -> dict[str, Client]:
    """Everybody who asks, logged in, and what is anne's and olga's."""
    roles = {"anne": Role.SUBMITTER, "bob": Role.SUBMITTER, "observer": Role.OBSERVER}
    roles |= {"otto": Role.ORGANIZER, "olga": Role.ORGANIZER}
    clients = {"anonymous": Client()}
    for name in ACCOUNTS:
        is_root = name == "root"
        account = factories.make_account(name, role=roles.get(name), is_staff=is_root, is_superuser=is_root)
        clients[name] = Client()
        clients[name].force_login(account)
    anne, olga = (User.objects.get(username=name) for name in ("anne", "olga"))
    raw_data = factories.make_raw_data(
        id=DATA_ID, owner=olga, files_path=OLGAS, split_log=OLGAS, scorer="accuracy"
    )
    submission = factories.make_submission(raw_data, databoard_s_id=FOLD_ID, owner=anne)
    factories.make_fold(
        submission, databoard_sf_id=FOLD_ID, owner=anne, state=State.TESTED, log_messages=ANNES
    )
    Token.objects.create(user=anne)
    return clients


def theirs() -> list[Any]:
    """What nobody else may change: anne's and olga's rows, anne's token, and what accounts may do."""
    return [
        list(RawData.objects.filter(pk=DATA_ID).values()),
        list(Submission.objects.filter(pk=FOLD_ID).values()),
        list(SubmissionFold.objects.filter(pk=FOLD_ID).values()),
        list(User.objects.order_by("pk").values("pk", "password", "is_staff", "is_superuser", "groups")),
    ]


def ask(client: Client, route: str, door: Door) -> tuple[Any, bool]:
    """What a client is answered, and whether that changed something; whatever it wrote is undone."""
    body = door.body or {}
    options: dict[str, Any] = {"data": body} if door.method in ("get", "post") else {}
    if route.startswith("runapp/") and door.method != "get":
        options = {"data": json.dumps(body), "content_type": "application/json"}
    cookies = client.cookies.output(header="", sep=";")
    with transaction.atomic():
        before = theirs()
        answer = getattr(client, door.method)(address(route), **options)
        changed = theirs() != before
        transaction.set_rollback(True)
    client.cookies.load(cookies)
    return answer, changed


def is_refusal(answer: Any) -> bool:
    leads_to_login = answer.status_code == 302 and "/login/" in answer.headers["Location"]
    return answer.status_code in (401, 403, 404, 405) or leads_to_login


def leaks(answer: Any, who: str) -> list[str]:
    """What an answer tells somebody that they may not know."""
    content = b"".join(answer) if answer.streaming else answer.content
    hidden = [] if who in ORGANIZERS else [OLGAS]
    if who not in SEERS:
        # Who names an id knows it: only an answer that shows something tells that it is there.
        hidden += [ANNES, *([str(FOLD_ID)] if answer.status_code == 200 else [])]
    return [secret for secret in hidden if secret.encode() in content]


def problems(people: dict[str, Client], route: str, doors: Iterable[Door]) -> Iterator[str]:
    for door in doors:
        for who, client in people.items():
            answer, changed = ask(client, route, door)
            wanted = door.answers.get(who)
            told = f"{who}: {door.method} {address(route)} {str(door.body)[:80]}: {answer.status_code}"
            if not is_refusal(answer) if wanted is None else answer.status_code != wanted:
                yield f"{told}, not {wanted or 'a refusal'}"
            if changed and who not in door.changed_by:
                yield f"{told} changes what is not theirs"
            yield from (f"{told} tells {secret!r}" for secret in leaks(answer, who))


@pytest.mark.parametrize("route", OTHERS)
def test_nobody_sees_or_does_what_is_not_theirs(people: dict[str, Client], route: str) -> None:
    assert route in DOORS, f"say in doors.py who may do what at the new route {route!r}"
    declared = DOORS[route]
    others = {*METHODS} - {door.method for door in declared}

    found = list(problems(people, route, (*declared, *(Door(method, {}) for method in others))))

    assert not found, "\n".join(found)


@pytest.mark.parametrize("route", ADMIN)
def test_the_admin_pages_are_for_staff(people: dict[str, Client], route: str) -> None:
    without_staff = {who: client for who, client in people.items() if who != "root"}

    found = list(problems(without_staff, route, [Door("get", {}), Door("post", {})]))

    assert not found, "\n".join(found)


def test_every_declared_route_is_there() -> None:
    assert {*DOORS} <= {*OTHERS}


def test_what_is_asked_for_is_there(people: dict[str, Client]) -> None:
    """Else the other tests would find nothing to be hidden."""
    answer = people["olga"].get(address("runapp/submissionfold/<int:pk>/"))

    assert ANNES in answer.content.decode()
    assert OLGAS in people["olga"].get("/runapp/rawdata/").content.decode()
