"""Lists are plain JSON lists; they are cut into pages and narrowed down when a caller asks for it."""

import re
from typing import Any

import pytest

from runapp.contract import State
from runapp.models import SubmissionFold
from runapp.tests import factories
from runapp.tests.api.conftest import Caller

LISTS = ["submissionfold/", "submissionfold-light/"]


@pytest.fixture
def folds(db: None) -> list[SubmissionFold]:
    """Five folds: of one submission two TODO and a TESTED one, of another a TESTED and a failed one."""
    first, second = factories.make_submission(), factories.make_submission()
    return [
        factories.make_fold(first),
        factories.make_fold(first),
        factories.make_fold(first, state=State.TESTED, new=False),
        factories.make_fold(second, state=State.TESTED),
        factories.make_fold(second, state=State.ERROR),
    ]


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200
    assert isinstance(answer.json(), list)
    return [fold["databoard_sf_id"] for fold in answer.json()]


def links(answer: Any) -> dict[str, str]:
    return {name: url for url, name in re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["Link"])}


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_whole_unless_a_page_is_asked_for(
    api: Caller, folds: list[SubmissionFold], path: str
) -> None:
    answer = api.get(path)

    assert ids(answer) == [fold.pk for fold in folds]
    assert "Link" not in answer.headers


@pytest.mark.parametrize("path", LISTS)
def test_the_links_lead_through_all_pages(api: Caller, folds: list[SubmissionFold], path: str) -> None:
    answer = api.get(path, page_size=2)
    pages = [ids(answer)]
    while "next" in links(answer):
        answer = api.client.get(links(answer)["next"])
        pages.append(ids(answer))

    numbers = [fold.pk for fold in folds]
    assert pages == [numbers[:2], numbers[2:4], numbers[4:]]
    assert answer.headers["X-Total-Count"] == "5"
    assert set(links(answer)) == {"first", "prev", "last"}
    assert ids(api.client.get(links(answer)["first"])) == numbers[:2]
    assert ids(api.client.get(links(answer)["last"])) == numbers[4:]


def test_the_links_keep_every_filter(api: Caller, folds: list[SubmissionFold]) -> None:
    answer = api.get("submissionfold/", state=["TESTED", "TODO"], page_size=3)

    assert len(ids(answer)) == 3
    assert ids(api.client.get(links(answer)["next"])) == [folds[3].pk]


def test_data_sets_page_too(api: Caller) -> None:
    data_sets = [factories.make_raw_data() for _ in range(3)]

    answer = api.get("rawdata/", page=2, page_size=2)

    assert [data["id"] for data in answer.json()] == [data_sets[2].pk]
    assert set(links(answer)) == {"first", "prev", "last"}


def test_a_page_without_a_size_has_a_hundred(api: Caller) -> None:
    for _ in range(101):
        factories.make_raw_data()

    assert len(api.get("rawdata/", page=1).json()) == 100


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "1" * 5000, "%00", "\ud83c"])
def test_a_page_that_is_not_there_is_404_as_json(api: Caller, folds: list[SubmissionFold], page: str) -> None:
    answer = api.client.get("/runapp/submissionfold/", {"page": page.encode("utf-8", "replace")})

    assert answer.status_code == 404
    assert answer.json() == {"detail": "Invalid page.", "code": "not_found"}


@pytest.mark.parametrize("page_size", ["0", "-1", "x", "", "1" * 5000])
def test_a_size_that_is_none_counts_as_the_usual_one(
    api: Caller, folds: list[SubmissionFold], page_size: str
) -> None:
    assert len(ids(api.get("submissionfold/", page_size=page_size))) == 5


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state": "TODO"}, [0, 1]), ({"state": ["TESTED", "ERROR"]}, [2, 3, 4]),
        ({"new": "true"}, [0, 1, 3, 4]), ({"new": "false"}, [2]),
        ({"new": "false", "state": "TODO"}, []), ({}, [0, 1, 2, 3, 4]),
    ],
)  # fmt: skip
def test_folds_are_narrowed_down_by_state_and_newness(
    api: Caller, folds: list[SubmissionFold], path: str, query: dict[str, Any], expected: list[int]
) -> None:
    assert ids(api.get(path, **query)) == [folds[i].pk for i in expected]


@pytest.mark.parametrize("path", LISTS)
def test_folds_are_narrowed_down_by_data_set_and_submission(
    api: Caller, folds: list[SubmissionFold], path: str
) -> None:
    second = folds[3].databoard_s
    assert second is not None

    assert ids(api.get(path, submission=second.pk)) == [folds[3].pk, folds[4].pk]
    assert ids(api.get(path, raw_data=second.raw_data_id, state="ERROR")) == [folds[4].pk]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("field", ["state", "raw_data", "submission"])
@pytest.mark.parametrize("value", ["4711", "x", "\0", "-1", "1" * 30, "1" * 5000])
def test_a_filter_for_something_that_is_not_there_is_refused(
    api: Caller, path: str, field: str, value: str
) -> None:
    answer = api.get(path, **{field: value})

    assert answer.status_code == 400
    assert list(answer.json()) == [field]
