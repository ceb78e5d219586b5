"""Scorer and limits of a data set after its upload; scores and ranking, and who sees what of them."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from runapp.contract import DATA_SET_LIMITS, State
from runapp.models import Ranking, RawData, Submission
from runapp.models.rights import Role
from runapp.tests import factories
from runapp.tests.api.conftest import Caller, Commit
from runapp.tests.conftest import SentTask

TEST_FIELDS = {"test_score_mean", "test_score_std", "bagged_test_score", "bagged_test_note"}


@pytest.fixture
def organizer(db: None, django_capture_on_commit_callbacks: Commit) -> Caller:
    return Caller(factories.make_account("grace"), django_capture_on_commit_callbacks)


@pytest.fixture
def submitter(db: None, django_capture_on_commit_callbacks: Commit) -> Caller:
    return Caller(factories.make_account("ada", role=Role.SUBMITTER), django_capture_on_commit_callbacks)


@pytest.fixture
def other(db: None, django_capture_on_commit_callbacks: Commit) -> Caller:
    return Caller(factories.make_account("eve", role=Role.SUBMITTER), django_capture_on_commit_callbacks)


@pytest.fixture
def observer(db: None, django_capture_on_commit_callbacks: Commit) -> Caller:
    return Caller(factories.make_account("oscar", role=Role.OBSERVER), django_capture_on_commit_callbacks)


@pytest.fixture
def data(organizer: Caller, submitter: Caller, other: Caller) -> RawData:
    """A data set with a submission of each of two people, each with a fold that is scored."""
    raw_data = factories.make_raw_data(owner=organizer.user, scorer="accuracy")
    for person, score in ((submitter, 0.7), (other, 0.9)):
        submission = factories.make_submission(raw_data, owner=person.user)
        Submission.objects.filter(pk=submission.pk).update(
            validation_score_mean=score, validation_score_std=0.1, bagged_validation_score=score,
            test_score_mean=0.4, test_score_std=0.01, bagged_test_score=0.5, n_scored_folds=1,
        )  # fmt: skip
        factories.make_fold(
            submission, state=State.TESTED, owner=person.user, validation_score=score, test_score=0.4,
            scored_with="accuracy",
        )  # fmt: skip
    return raw_data


def patch(caller: Caller, raw_data: RawData, body: Any) -> Any:
    with caller._commit(execute=True):
        return caller.client.patch(f"/runapp/rawdata/{raw_data.pk}/", body, format="json")


def test_a_scorer_may_be_named_at_the_upload(organizer: Caller) -> None:
    answer = organizer.post_data(scorer="roc_auc", ranking="hidden")

    assert answer.status_code == 201
    assert (answer.json()["scorer"], answer.json()["ranking"]) == ("roc_auc", "hidden")


def test_without_a_word_there_is_no_scorer(organizer: Caller) -> None:
    answer = organizer.post_data()

    assert (answer.json()["scorer"], answer.json()["ranking"]) == ("", "validation")


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        ("acuracy", "'acuracy' is not a scorer of scikit-learn; known are, among others, accuracy"),
        ("__import__('os')", "is not a scorer of scikit-learn"), ("x" * 61, "no more than 60"),
        (["accuracy"], "Not a valid string"), ("accuracy\0", "Null characters"),
    ],
)  # fmt: skip
def test_a_scorer_that_scikit_learn_does_not_have_is_refused_in_words(
    organizer: Caller, data: RawData, scorer: object, words: str
) -> None:
    with factories.nothing_written():
        posted = organizer.post_data(scorer=scorer)
        changed = patch(organizer, data, {"scorer": scorer})

    for answer in (posted, changed):
        assert answer.status_code == 400
        assert words in answer.json()["scorer"][0]


def test_a_custom_data_set_takes_no_scorer(organizer: Caller) -> None:
    files = factories.encoded_files({"specific.py": factories.SPECIFIC, "a.bin": b"1"})
    with factories.nothing_written():
        answer = organizer.post_data(files=files, scorer="accuracy")
    assert "has no labels that datarun could read" in answer.json()["scorer"][0]

    raw_data = RawData.objects.get(pk=organizer.post_data(files=files).json()["id"])
    assert "has no labels" in patch(organizer, raw_data, {"scorer": "accuracy"}).json()["scorer"][0]


def test_an_organizer_changes_scorer_ranking_and_limits_afterwards(
    organizer: Caller, data: RawData, sent_tasks: list[SentTask]
) -> None:
    body = {"scorer": "f1_macro", "ranking": "hidden", "max_fold_seconds": 60, "max_memory_mb": None}

    answer = patch(organizer, data, body)

    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in body} == body
    assert [task.name for task in sent_tasks] == ["runapp.tasks.score"]
    assert Submission.objects.filter(validation_score_mean=None).count() == 2


def test_what_is_left_out_of_a_change_stays_as_it_is(organizer: Caller, data: RawData) -> None:
    patch(organizer, data, {"max_fold_seconds": 60})
    answer = patch(organizer, data, {"max_memory_mb": 100})

    assert (answer.json()["max_fold_seconds"], answer.json()["scorer"]) == (60, "accuracy")
    assert not Submission.objects.filter(validation_score_mean=None).exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ranking": "public"}, "ranking"), ({"scorer": None}, "scorer"), ({"name": "other"}, "name"),
        ({"owner": 1}, "owner"), *(({name: 0}, name) for name in DATA_SET_LIMITS),
    ],
)  # fmt: skip
def test_a_change_that_makes_no_sense_names_its_field(
    organizer: Caller, data: RawData, body: dict[str, Any], field: str
) -> None:
    with factories.nothing_written():
        answer = patch(organizer, data, body)

    assert answer.status_code == 400
    assert list(answer.json()) == [field]


def test_nobody_else_changes_a_data_set(
    submitter: Caller, observer: Caller, data: RawData, django_capture_on_commit_callbacks: Commit
) -> None:
    stranger = Caller(factories.make_account("heidi"), django_capture_on_commit_callbacks)
    with factories.nothing_written():
        for caller in (submitter, observer, stranger):
            assert patch(caller, data, {"scorer": ""}).status_code == 403
        caller.client.force_authenticate(None)
        assert patch(caller, data, {"scorer": ""}).status_code == 401


def test_the_ranking_begins_with_the_best(organizer: Caller, data: RawData) -> None:
    factories.make_submission(data, owner=None)

    rows = organizer.get(f"rawdata/{data.pk}/ranking/").json()

    assert [(row["owner"], row["validation_score_mean"]) for row in rows] == [
        ("eve", 0.9), ("ada", 0.7), (None, None),
    ]  # fmt: skip
    assert rows[0]["bagged_test_score"] == 0.5
    assert (rows[0]["n_folds"], rows[2]["n_folds"]) == (1, 0)


@pytest.mark.parametrize("ranking", Ranking.values)
def test_submitters_see_of_a_ranking_what_the_organizer_shows(
    organizer: Caller, observer: Caller, submitter: Caller, data: RawData, ranking: str
) -> None:
    RawData.objects.update(ranking=ranking)
    path = f"rawdata/{data.pk}/ranking/"

    for overseer in (organizer, observer):
        assert overseer.get(path).json()[0]["test_score_mean"] == 0.4
    answer = submitter.get(path)
    if ranking == Ranking.HIDDEN:
        assert answer.status_code == 404
        return
    assert [row["validation_score_mean"] for row in answer.json()] == [0.9, 0.7]
    own = Submission.objects.get(owner=submitter.user)
    assert [row["databoard_s_id"] for row in answer.json()] == [None, own.pk], "of others only the place"
    shown = {name: answer.json()[0][name] for name in TEST_FIELDS}
    if ranking == Ranking.VALIDATION:
        assert shown == dict.fromkeys(TEST_FIELDS)
    else:
        assert shown["bagged_test_score"] == 0.5


def test_without_a_scorer_there_is_no_ranking(organizer: Caller, data: RawData) -> None:
    RawData.objects.update(scorer="")

    assert organizer.get(f"rawdata/{data.pk}/ranking/").status_code == 404


@pytest.mark.parametrize("ranking", Ranking.values)
def test_of_fold_scores_everybody_sees_their_own_and_test_scores_where_shown(
    organizer: Caller, submitter: Caller, data: RawData, ranking: str
) -> None:
    RawData.objects.update(ranking=ranking)
    path = f"rawdata/{data.pk}/scores/"

    (own,) = submitter.get(path).json()
    everything = organizer.get(path).json()

    assert (own["validation_score"], own["scored_with"]) == (0.7, "accuracy")
    assert own["test_score"] == (0.4 if ranking == Ranking.TEST else None)
    assert [row["test_score"] for row in everything] == [0.4, 0.4]


def test_no_other_answer_tells_a_test_score(submitter: Caller, data: RawData) -> None:
    fold_id = submitter.get(f"rawdata/{data.pk}/scores/").json()[0]["databoard_sf_id"]
    answers = [
        submitter.get("submissionfold/"),
        submitter.get(f"submissionfold/{fold_id}/"),
        submitter.get("submissionfold-light/"),
        submitter.post("testpredictions/list/", {"list_submission_fold": [fold_id]}),
    ]

    for answer in answers:
        assert answer.status_code == 200
        assert "test_score" not in answer.content.decode()


def test_the_queries_of_ranking_and_scores_do_not_grow(
    organizer: Caller, data: RawData, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        submission = factories.make_submission(data, owner=organizer.user)
        factories.make_fold(submission, state=State.TESTED)

    for path in (f"rawdata/{data.pk}/ranking/", f"rawdata/{data.pk}/scores/"):
        with django_assert_max_num_queries(5):
            assert len(organizer.get(path).json()) == 7


def test_a_ranking_pages_when_asked_to(organizer: Caller, data: RawData) -> None:
    answer = organizer.get(f"rawdata/{data.pk}/ranking/", page_size=1, page=2)

    assert [row["owner"] for row in answer.json()] == ["ada"]
    assert answer.headers["X-Total-Count"] == "2"


@pytest.mark.parametrize("tail", ["", "ranking/", "scores/"])
def test_an_unknown_data_set_is_not_found(organizer: Caller, tail: str) -> None:
    path = f"/runapp/rawdata/4711/{tail}"
    answer = organizer.client.get(path) if tail else organizer.client.patch(path, {}, format="json")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
