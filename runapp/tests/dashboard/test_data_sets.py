"""The pages of data sets, of their settings and of their ranking: what they show, and to whom."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runapp.contract import DATA_SET_LIMITS, Outcome, SplitState, State
from runapp.environment import Environment
from runapp.models import Ranking, RawData, Submission
from runapp.models.rights import Role
from runapp.tests import factories
from runapp.tests.conftest import SentTask
from runapp.tests.dashboard.conftest import MakeReader, Reader

HOSTILE = "<script>alert('x')</script>\u202e"
MAX_QUERIES = 15
DESCRIPTION = {
    "columns": ["sepal", "petal", "species"],
    "n_columns": 3,
    "target": {"classes": ["setosa", "virginica"], "n_classes": 2, "train": [40, 80], "test": [10, 20]},
}


@pytest.fixture
def olga(reader: MakeReader) -> Reader:
    """The organizer of ``data``."""
    return reader("olga", Role.ORGANIZER)


@pytest.fixture
def observer(reader: MakeReader) -> Reader:
    return reader("oscar", Role.OBSERVER)


@pytest.fixture
def data(olga: Reader, ada: Reader, eve: Reader, environment: Environment) -> RawData:
    """A data set that is scored, with a submission of ada and one of eve, each with three folds."""
    data = factories.make_raw_data(
        name="iris", owner=olga.user, scorer="accuracy", split_log="a word of the split",
        description=DESCRIPTION, held_out_test=0.25, random_state=42,
    )  # fmt: skip
    folder = environment.dir_data / data.source_folder
    folder.mkdir(parents=True)
    (folder / "iris.csv").write_bytes(b"x" * 2048)
    for person, score in ((ada, 0.7125), (eve, 0.9)):
        submission = factories.make_submission(data, owner=person.user)
        Submission.objects.filter(pk=submission.pk).update(
            validation_score_mean=score, validation_score_std=0.0625, bagged_validation_score=score,
            test_score_mean=0.4321, test_score_std=0.01, bagged_test_score=0.54321, n_scored_folds=1,
        )  # fmt: skip
        of: dict[str, Any] = {"submission": submission, "owner": person.user}
        factories.make_fold(**of, state=State.TESTED, train_time=2.0, train_memory=204_800.0)
        factories.make_fold(**of, state=State.ERROR, outcome=Outcome.TIMEOUT)
        factories.make_fold(**of)
    return data


def page_of(data: RawData, tail: str = "") -> str:
    return f"/data-sets/{data.pk}/{tail}"


def test_the_list_shows_each_data_set_with_the_folds_that_one_may_see(
    data: RawData, olga: Reader, ada: Reader
) -> None:
    everything, own = olga.text("/data-sets/"), ada.text("/data-sets/")

    for page in (everything, own):
        assert "iris" in page
        assert "accuracy" in page
    assert 'aria-label="2 tested, 2 failed, 2 waiting"' in everything
    assert 'aria-label="1 tested, 1 failed, 1 waiting"' in own


def test_a_list_without_data_sets_says_how_to_send_one(ada: Reader) -> None:
    assert "No data set was sent yet" in ada.text("/data-sets/")


def test_the_page_shows_submissions_with_progress_times_memory_and_reasons(
    data: RawData, olga: Reader
) -> None:
    page = olga.text(page_of(data))

    assert page.count('aria-label="1 tested, 1 failed, 1 waiting"') == 2
    for shown in ("2.0 s", "200 MB", "1 timeout", "0.7125", "± 0.0625", "0.5432"):
        assert shown in page
    assert all(f"/submissions/{pk}/" in page for pk in Submission.objects.values_list("pk", flat=True))


def test_an_organizer_sees_files_split_and_how_the_target_is_distributed(data: RawData, olga: Reader) -> None:
    page = olga.text(page_of(data))

    for shown in (
        "iris.csv", "2.0\N{NO-BREAK SPACE}KB", "a word of the split", "held out 0.25, random state 42",
        "setosa",
        'aria-label="33.3 % of the training rows, 33.3 % of the test rows"', "sepal, petal, species",
    ):  # fmt: skip
        assert shown in page, shown


@pytest.mark.parametrize("who", ["ada", "observer", "otto"])
def test_nobody_else_sees_labels_files_or_the_log_of_a_split(
    data: RawData, request: pytest.FixtureRequest, reader: MakeReader, who: str
) -> None:
    person = reader("otto", Role.ORGANIZER) if who == "otto" else request.getfixturevalue(who)

    page = person.text(page_of(data))

    for hidden in ("iris.csv", "a word of the split", "0.25", "setosa", "petal", "settings/"):
        assert hidden not in page


def test_a_submitter_sees_own_submissions_alone_and_no_test_score(
    data: RawData, ada: Reader, eve: Reader
) -> None:
    page = ada.text(page_of(data))

    own, other = (Submission.objects.get(owner=person.user).pk for person in (ada, eve))
    assert f"/submissions/{own}/" in page
    assert f"/submissions/{other}/" not in page
    assert "0.7125" in page
    assert "0.4321" not in page
    RawData.objects.update(ranking=Ranking.TEST)
    assert "0.4321" in ada.text(page_of(data))


@pytest.mark.parametrize("description", [None, {"columns": [], "n_columns": 0, "target": {
    "edges": [0.0, 0.5, 1.0], "train": [0, 0], "test": [0, 0]}}])  # fmt: skip
def test_a_target_that_was_not_counted_or_has_no_rows_is_shown_as_that(
    data: RawData, olga: Reader, description: Any
) -> None:
    RawData.objects.update(description=description)

    page = olga.text(page_of(data))

    assert ("The target cannot be shown." in page) == (description is None)


def test_ranges_of_a_number_are_shown_like_classes(data: RawData, olga: Reader) -> None:
    target = {"edges": [0.0, 0.5, 1.0], "train": [3, 1], "test": [1, 1]}
    RawData.objects.update(description=DESCRIPTION | {"target": target})

    page = olga.text(page_of(data))

    assert "0.5 to 1" in page
    assert 'aria-label="75.0 % of the training rows, 50.0 % of the test rows"' in page


@pytest.mark.parametrize("state", [SplitState.NONE, SplitState.TODO, SplitState.ERROR])
def test_a_data_set_that_is_not_split_has_a_page(olga: Reader, state: SplitState) -> None:
    data = factories.make_raw_data(state, owner=olga.user)

    page = olga.text(page_of(data))

    assert "It is counted when the data set is split." in page
    assert "The files cannot be read from the shared disk at the moment." in page
    assert ("the split&#x27;s own error" in page) == (state == SplitState.ERROR)


def test_text_of_strangers_is_escaped_and_seen(olga: Reader, environment: Environment) -> None:
    data = factories.make_raw_data(
        name=HOSTILE, owner=olga.user, target_column=HOSTILE, workflow_elements=HOSTILE, split_log=HOSTILE,
        files_path="hostile-0", scorer="accuracy",
        description={"columns": [HOSTILE], "n_columns": 1, "target": {
            "classes": [HOSTILE], "n_classes": 1, "train": [1], "test": [1]}},
    )  # fmt: skip
    folder = environment.dir_data / data.source_folder
    folder.mkdir(parents=True)
    (folder / HOSTILE.replace("/", "")).write_bytes(b"")
    submission = factories.make_submission(data, owner=factories.make_account(HOSTILE))
    Submission.objects.filter(pk=submission.pk).update(bagged_validation_note=HOSTILE)

    for path in ("/data-sets/", *(page_of(data, tail) for tail in ("", "settings/", "ranking/"))):
        page = olga.text(path)
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert "&lt;script&gt;alert" in page


def test_pages_load_no_large_column_and_their_queries_do_not_grow(data: RawData, olga: Reader) -> None:
    counts = []
    for _ in range(2):
        for _ in range(4):
            submission = factories.make_submission(data, owner=olga.user)
            factories.make_fold(submission, state=State.TESTED)
        factories.make_raw_data(owner=olga.user)
        for path in ("/data-sets/", page_of(data), page_of(data, "ranking/")):
            with CaptureQueriesContext(connection) as queries:
                olga.text(path)
            assert not any(name in q["sql"] for q in queries for name in ('"test_predictions"', '"train_is"'))
            assert len(queries) <= MAX_QUERIES
            counts.append(len(queries))

    assert counts[:3] == counts[3:]


def test_many_submissions_are_shown_a_page_at_a_time(data: RawData, olga: Reader) -> None:
    for _ in range(60):
        factories.make_submission(data, owner=olga.user)

    for tail in ("", "ranking/"):
        first = olga.text(page_of(data, tail))
        assert "1 to 50 of 62" in first
        assert "51 to 62 of 62" in olga.text(page_of(data, tail), page="2")
        assert "51 to 62 of 62" in olga.text(page_of(data, tail), page="4711")
        assert "1 to 50 of 62" in olga.text(page_of(data, tail), page="<script>")


def test_the_ranking_orders_by_the_column_that_is_asked_for(data: RawData, olga: Reader, eve: Reader) -> None:
    best_in_the_test = Submission.objects.get(owner=eve.user)
    Submission.objects.filter(pk=best_in_the_test.pk).update(bagged_test_score=0.1)

    by_validation, by_test = (
        [row[1].owner.username for row in olga.get(page_of(data, "ranking/"), by=by).context["rows"]]
        for by in ("", "bagged_test_score")
    )

    assert by_validation == ["eve", "ada"]
    assert by_test == ["ada", "eve"]


@pytest.mark.parametrize("ranking", Ranking.values)
def test_submitters_see_of_the_ranking_what_the_organizer_shows(
    data: RawData, olga: Reader, ada: Reader, observer: Reader, ranking: str
) -> None:
    RawData.objects.update(ranking=ranking)
    path = page_of(data, "ranking/")

    for overseer in (olga, observer):
        assert "0.5432" in overseer.text(path)
    answer = ada.get(path, by="bagged_test_score")
    assert (path in ada.text(page_of(data))) == (ranking != Ranking.HIDDEN)
    if ranking == Ranking.HIDDEN:
        assert answer.status_code == 404
    else:
        assert answer.status_code == 200
        assert ("0.5432" in answer.content.decode()) == (ranking == Ranking.TEST)
        assert answer.context["by"] == (
            "bagged_test_score" if ranking == Ranking.TEST else "validation_score_mean"
        )


def test_of_others_submissions_the_ranking_tells_no_id(data: RawData, ada: Reader, eve: Reader) -> None:
    page = ada.text(page_of(data, "ranking/"))

    own, other = (Submission.objects.get(owner=person.user).pk for person in (ada, eve))
    assert f"/submissions/{own}/" in page
    assert str(other) not in page
    assert "eve" in page


def test_without_a_scorer_there_is_no_ranking(data: RawData, olga: Reader) -> None:
    RawData.objects.update(scorer="")

    assert olga.get(page_of(data, "ranking/")).status_code == 404
    assert "ranking/" not in olga.text(page_of(data)).replace("Scorer, ranking", "")


def settings(**changes: str) -> dict[str, str]:
    return {"scorer": "accuracy", "ranking": "validation"} | dict.fromkeys(DATA_SET_LIMITS, "") | changes


def test_an_organizer_changes_scorer_ranking_and_limits(
    data: RawData, olga: Reader, sent_tasks: list[SentTask]
) -> None:
    path = page_of(data, "settings/")
    assert 'value="accuracy"' in olga.text(path)

    answer = olga.post(path, **settings(scorer="f1_macro", ranking="hidden", max_memory_mb="500"))

    assert answer.redirect_chain[-1][0] == page_of(data)
    assert "The data set is changed." in answer.content.decode()
    data.refresh_from_db()
    assert (data.scorer, data.ranking, data.max_memory_mb, data.max_fold_seconds) == (
        "f1_macro", "hidden", 500, None,
    )  # fmt: skip
    assert [task.name for task in sent_tasks] == ["runapp.tasks.score"]
    assert not Submission.objects.exclude(validation_score_mean=None).exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scorer": "acuracy"}, "is not a scorer of scikit-learn; known are, among others, accuracy"),
        ({"ranking": "public"}, "Select a valid choice"),
        ({"max_memory_mb": "0"}, "greater than or equal to 1"),
        ({"max_processes": "1"}, "greater than or equal to 2"), ({"max_fold_seconds": "1.5"}, "whole number"),
        ({"scorer": "x\0"}, "Null characters"),
    ],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused_in_words(
    data: RawData, olga: Reader, changes: dict[str, str], words: str
) -> None:
    with factories.nothing_written():
        answer = olga.post(page_of(data, "settings/"), **settings(**changes))

    assert answer.status_code == 400
    assert words in answer.content.decode()


@pytest.mark.parametrize("who", ["ada", "observer", "otto"])
def test_the_settings_are_for_the_organizer(
    data: RawData, request: pytest.FixtureRequest, reader: MakeReader, who: str
) -> None:
    person = reader("otto", Role.ORGANIZER) if who == "otto" else request.getfixturevalue(who)

    with factories.nothing_written():
        assert person.get(page_of(data, "settings/")).status_code == 404
        assert person.post(page_of(data, "settings/"), **settings(scorer="")).status_code == 404


@pytest.mark.parametrize("ranking", [Ranking.VALIDATION, Ranking.TEST])
def test_the_page_of_a_submission_shows_the_scores_of_its_folds_and_test_scores_where_shown(
    data: RawData, olga: Reader, ada: Reader, ranking: str
) -> None:
    RawData.objects.update(ranking=ranking)
    submission = Submission.objects.get(owner=ada.user)
    submission.submissionfold_set.filter(state=State.TESTED).update(
        validation_score=0.8125, test_score=0.6789, scored_with="accuracy"
    )
    submission.submissionfold_set.filter(state=State.ERROR).update(validation_note="<b>no class</b>")

    own, organizers = (person.text(f"/submissions/{submission.pk}/") for person in (ada, olga))

    for page in (own, organizers):
        assert "0.8125" in page
        assert "&lt;b&gt;no class&lt;/b&gt;" in page
    assert "0.6789" in organizers
    for test_score in ("0.6789", "0.4321", "0.5432"):
        assert (test_score in own) == (ranking == Ranking.TEST)
