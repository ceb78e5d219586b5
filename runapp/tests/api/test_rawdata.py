"""``rawdata/``: uploading data sets and listing them."""

import pytest
from django.db import IntegrityError
from pytest_django import DjangoAssertNumQueries

from runapp.contract import DATA_SET_LIMITS, SplitState
from runapp.environment import Environment
from runapp.models import RawData
from runapp.tests import factories
from runapp.tests.api.conftest import Caller

FIELDS = {
    "id", "name", "files_path", "workflow_elements", "target_column", "custom", "owner", "created_at",
    "split_state", "split_task_id", "split_log", "held_out_test", "random_state", "n_train_rows",
    "n_test_rows", "scorer", "ranking", *DATA_SET_LIMITS,
}  # fmt: skip


@pytest.mark.parametrize("path", ["rawdata/", "raw_data/"])
def test_one_file_is_stored_as_the_csv_of_the_data_set(
    api: Caller, environment: Environment, path: str
) -> None:
    body = {
        "name": "iris",
        "target_column": "species",
        "workflow_elements": "classifier, feature_extractor",
        "files": factories.encoded_files({"whatever it was.txt": factories.CSV}),
    }
    answer = api.post(path, body)

    assert answer.status_code == 201
    data = answer.json()
    assert set(data) == FIELDS
    assert (data["name"], data["target_column"]) == ("iris", "species")
    assert data["workflow_elements"] == "feature_extractor,classifier"
    assert (data["custom"], data["split_state"], data["owner"]) == (False, "NONE", api.user.pk)
    stored = environment.dir_data / data["files_path"] / "raw"
    assert {file.name: file.read_bytes() for file in stored.iterdir()} == {"iris.csv": factories.CSV}


def test_of_several_files_the_script_is_stored_as_specific_py(api: Caller, environment: Environment) -> None:
    files = {"reader.py": factories.SPECIFIC, "curves.bin": bytes(range(256)), "labels.csv": b"a,b\n"}
    answer = api.post_data(
        name="stars", target_column="", workflow_elements="", files=factories.encoded_files(files)
    )

    assert answer.status_code == 201
    assert answer.json()["custom"] is True
    stored = environment.dir_data / answer.json()["files_path"] / "raw"
    files["specific.py"] = files.pop("reader.py")
    assert {file.name: file.read_bytes() for file in stored.iterdir()} == files


@pytest.mark.parametrize("name", ["数据", "my data (2)", "ünï.csv", "a" * 100])
def test_names_people_use_are_taken(api: Caller, environment: Environment, name: str) -> None:
    answer = api.post_data(name=name)

    assert answer.status_code == 201
    assert (environment.dir_data / answer.json()["files_path"] / "raw" / f"{name}.csv").exists()


def test_data_sets_with_like_names_have_folders_of_their_own(api: Caller) -> None:
    paths = {api.post_data(name=name).json()["files_path"] for name in ("a b", "a-b", "A B")}

    assert len(paths) == 3


def test_the_list_shows_every_data_set(api: Caller) -> None:
    first, second = factories.make_raw_data(), factories.make_raw_data()

    answer = api.get("rawdata/")

    assert answer.status_code == 200
    assert [data["id"] for data in answer.json()] == [first.pk, second.pk]
    assert set(answer.json()[0]) == FIELDS


def test_the_list_takes_one_query_however_long_it_is(
    api: Caller, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        factories.make_raw_data(owner=api.user)

    with django_assert_num_queries(1):
        assert len(api.get("rawdata/").json()) == 5


@pytest.mark.parametrize("name", ["iris", " iris "])
def test_a_taken_name_is_refused_in_the_words_of_the_contract(api: Caller, name: str) -> None:
    api.post_data()

    with factories.nothing_written():
        answer = api.post_data(name=name)

    assert answer.status_code == 400
    assert answer.json() == {"name": ["RawData with this name already exists."]}


def test_a_name_taken_at_the_same_moment_leaves_one_data_set(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post_data()
    # The other request commits between our look and our insert.
    monkeypatch.setattr("django.db.models.query.QuerySet.exists", lambda _: False)

    with factories.nothing_written():
        answer = api.post_data()

    assert answer.json() == {"name": ["RawData with this name already exists."]}
    assert RawData.objects.count() == 1


def test_limits_are_kept_and_what_is_left_out_is_left_to_the_runner(api: Caller) -> None:
    answer = api.post_data(max_fold_seconds=60, max_memory_mb=2**31 - 1)

    assert answer.status_code == 201
    asked = {"max_fold_seconds": 60, "max_memory_mb": 2**31 - 1}
    expected = dict.fromkeys(DATA_SET_LIMITS) | asked
    assert {name: answer.json()[name] for name in DATA_SET_LIMITS} == expected
    assert {name: api.get("rawdata/").json()[0][name] for name in DATA_SET_LIMITS} == expected


@pytest.mark.parametrize("name", DATA_SET_LIMITS)
def test_a_limit_may_be_as_low_as_one_that_a_runner_can_keep(api: Caller, name: str) -> None:
    assert api.post_data(**{name: DATA_SET_LIMITS[name]}).json()[name] == DATA_SET_LIMITS[name]


@pytest.mark.parametrize("name", DATA_SET_LIMITS)
def test_a_limit_of_null_is_none(api: Caller, name: str) -> None:
    body = {
        "name": "iris", "target_column": "species", "workflow_elements": "classifier", name: None,
        "files": factories.encoded_files({"iris.csv": factories.CSV}),
    }  # fmt: skip

    assert api.post("rawdata/", body).json()[name] is None


@pytest.mark.parametrize("name", DATA_SET_LIMITS)
def test_the_database_keeps_no_limit_that_no_runner_could_keep(db: None, name: str) -> None:
    with pytest.raises(IntegrityError, match=f"raw_data_{name}"):
        factories.make_raw_data(SplitState.NONE, **{name: DATA_SET_LIMITS[name] - 1})
