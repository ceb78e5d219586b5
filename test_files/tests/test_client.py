import numpy as np
import pytest
from fake_datarun import (
    PASSWORD,
    USER,
    AnswersHtml,
    FakeDatarun,
    FoldsNeverFinish,
    HasMoved,
    NameIsTaken,
    OneFoldFails,
    RestartsWhileWaitedFor,
    SplitFails,
    SplitNeverEnds,
)
from sklearn.model_selection import KFold, StratifiedKFold

from test_files.client import Datarun, Submission, results_table
from test_files.client_connection import DatarunClientError
from test_files.processes import free_ports

FOLDS = [(np.array([0, 1, 2]), np.array([3])), (np.array([1, 2, 3]), np.array([0]))]


@pytest.fixture
def data_file(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("a,b\n1,2\n")
    return file


@pytest.fixture
def submission_folder(tmp_path):
    folder = tmp_path / "submission"
    (folder / "__pycache__").mkdir(parents=True)
    for name in ("classifier.py", "weights.bin", ".swp"):
        (folder / name).write_text(name)
    return folder


def client_of(server):
    return Datarun(server.url, USER, PASSWORD)


def posts_of(server):
    return [request.body for request in server.requests if request.path == "/runapp/submissionfold/"]


def test_a_data_set_is_split_when_post_data_returns(serve, data_file):
    server = serve(FakeDatarun)
    data = client_of(server).post_data(
        "iris", "b", "classifier", [data_file], held_out_test=0.5, random_state=1
    )
    assert (data["split_state"], data["n_train_rows"]) == ("DONE", 12)
    assert server.requests[1].body == {"held_out_test": 0.5, "raw_data_id": 1, "random_state": 1}


def test_limits_are_sent_with_the_data_set(serve, data_file):
    server = serve(FakeDatarun)
    client_of(server).post_data("iris", "b", "classifier", [data_file], limits={"max_fold_seconds": 60})
    client_of(server).post_data("wine", "b", "classifier", [data_file])
    bodies = [r.body for r in server.requests if (r.method, r.path) == ("POST", "/runapp/rawdata/")]
    assert [body.get("max_fold_seconds") for body in bodies] == [60, None]
    assert list(bodies[1]) == ["name", "target_column", "workflow_elements", "files"]


def test_several_files_are_split_by_their_own_function(serve, data_file, tmp_path):
    (tmp_path / "specific.py").write_text("pass")
    server = serve(FakeDatarun)
    client_of(server).post_data("stars", "b", "classifier", [data_file, tmp_path / "specific.py"])
    assert [request.path for request in server.requests[:2]] == [
        "/runapp/rawdata/",
        "/runapp/rawdata/customsplit/",
    ]


def test_a_refusal_is_raised_in_the_servers_words(serve, data_file):
    with pytest.raises(
        DatarunClientError, match=r"400: name: RawData with this name already exists\."
    ) as raised:
        client_of(serve(NameIsTaken)).post_data("iris", "b", "classifier", [data_file])
    assert raised.value.status_code == 400
    assert raised.value.answer == {"name": ["RawData with this name already exists."]}


def test_a_failed_split_is_raised_with_its_log(serve, data_file):
    with pytest.raises(
        DatarunClientError, match="split of data set 1 failed: prepare_data: there is no column"
    ):
        client_of(serve(SplitFails)).post_data("stars", "b", "classifier", [data_file])


def test_a_split_that_never_ends_is_waited_for_no_longer_than_told(serve, data_file):
    with pytest.raises(DatarunClientError, match=r"split of data set 1 is not done after 0\.1 s"):
        client_of(serve(SplitNeverEnds)).post_data(
            "stars", "b", "classifier", [data_file], timeout_seconds=0.1
        )


def test_ids_follow_the_largest_that_the_server_has(serve, submission_folder):
    server = serve(FakeDatarun)
    server.post_fold({"databoard_sf_id": 40, "databoard_s_id": 7})
    server.post_fold({"databoard_sf_id": 12, "databoard_s_id": 9})
    submission = client_of(server).post_submission(1, submission_folder, folds=FOLDS)
    assert submission == Submission(10, (41, 42))


def test_ids_may_be_chosen(serve, submission_folder):
    server = serve(FakeDatarun)
    submission = client_of(server).post_submission(
        1, submission_folder, folds=FOLDS, submission_id=3, first_fold_id=100
    )
    assert submission == Submission(3, (100, 101))
    assert [request.method for request in server.requests] == ["POST", "POST"]


def test_the_files_of_the_folder_travel_once(serve, submission_folder):
    server = serve(FakeDatarun)
    client_of(server).post_submission(1, submission_folder, folds=FOLDS, priority="H", force="submission")
    first, second = posts_of(server)
    assert sorted(first["files"]) == ["classifier.py", "weights.bin"]
    assert (first["raw_data"], first["force"], first["priority"]) == (1, "submission", "H")
    assert "files" not in second
    assert (second["force"], second["priority"]) == ("submission_fold", "H")


@pytest.mark.parametrize(
    "how",
    [
        {"cv": KFold(3)},
        {"cv": KFold(3), "n_rows": 12},
        {"cv": KFold(3), "X": np.zeros((12, 2))},
        {"cv": StratifiedKFold(3), "y": np.array(["a", "b"] * 6)},
    ],
)
def test_a_splitter_of_scikit_learn_makes_the_folds(serve, submission_folder, data_file, how):
    server = serve(FakeDatarun)
    datarun = client_of(server)
    data = datarun.post_data("iris", "b", "classifier", [data_file])
    submission = datarun.post_submission(data["id"], submission_folder, **how)
    sizes = [(len(body["train_is"]) > 0, len(body["test_is"]) > 0) for body in posts_of(server)]
    assert (len(submission.fold_ids), sizes) == (3, [(True, True)] * 3)


@pytest.mark.parametrize("how", [{}, {"cv": KFold(3), "folds": FOLDS}, {"folds": []}])
def test_a_submission_needs_folds_from_one_place(serve, submission_folder, how):
    server = serve(FakeDatarun)
    with pytest.raises(ValueError, match=r"give either cv or folds|there is no fold"):
        client_of(server).post_submission(1, submission_folder, **how)
    assert not server.requests


def test_an_empty_folder_is_not_sent(serve, tmp_path):
    with pytest.raises(ValueError, match="has no files"):
        client_of(serve(FakeDatarun)).post_submission(1, tmp_path, folds=FOLDS)


def test_results_are_arrays_and_a_table(serve, submission_folder):
    datarun = client_of(serve(FakeDatarun))
    submission = datarun.post_submission(1, submission_folder, folds=FOLDS)
    assert datarun.wait(submission, progress=False) == {1: "TESTED", 2: "TESTED"}
    results = datarun.results(submission)
    np.testing.assert_array_equal(results[1].full_train_predictions, np.full((12, 2), 2.0))
    np.testing.assert_array_equal(results[0].test_predictions, np.full((3, 2), 1.0))
    table = results_table(results)
    assert table.index.tolist() == [1, 2]
    assert table[["state", "outcome", "train_time"]].values.tolist() == [["TESTED", "ok", 0.5]] * 2


def test_the_table_of_no_results_has_its_columns():
    assert list(results_table([]).columns)[:3] == ["submission_id", "state", "outcome"]


def test_a_failed_fold_ends_the_wait_and_has_its_log(serve, submission_folder):
    datarun = client_of(serve(OneFoldFails))
    submission = datarun.post_submission(1, submission_folder, folds=FOLDS)
    assert datarun.wait(submission, progress=False) == {1: "ERROR", 2: "TESTED"}
    failed = datarun.results(submission)[0]
    assert (failed.outcome, failed.log_messages) == ("user_error", "ZeroDivisionError")
    assert failed.test_predictions is None


def test_results_are_asked_for_in_bounded_numbers(serve, submission_folder, monkeypatch):
    monkeypatch.setattr("test_files.client.RESULTS_PER_REQUEST", 2)
    server = serve(FakeDatarun)
    datarun = client_of(server)
    submission = datarun.post_submission(1, submission_folder, folds=[*FOLDS, FOLDS[0]])
    assert [result.fold_id for result in datarun.results(submission)] == [1, 2, 3]
    asked = [
        r.body["list_submission_fold"] for r in server.requests if r.path.endswith("testpredictions/list/")
    ]
    assert asked == [[1, 2], [3]]


def test_results_of_folds_that_are_gone_are_an_error(serve):
    with pytest.raises(DatarunClientError, match=r"the server has no folds \[5\]"):
        client_of(serve(FakeDatarun)).results(Submission(1, (5,)))


def test_a_submission_sent_earlier_is_found_again(serve, submission_folder):
    server = serve(FakeDatarun)
    sent = client_of(server).post_submission(1, submission_folder, folds=FOLDS)
    server.post_fold({"databoard_sf_id": 90, "databoard_s_id": 8})
    assert client_of(server).submission(sent.id) == sent
    with pytest.raises(DatarunClientError, match="no fold of a submission 77"):
        client_of(server).submission(77)


def test_the_wait_ends_at_its_deadline_and_names_the_folds(serve, submission_folder):
    datarun = client_of(serve(FoldsNeverFinish))
    submission = datarun.post_submission(1, submission_folder, folds=FOLDS)
    with pytest.raises(DatarunClientError, match=r"unfinished folds: \[1, 2\] after 0.1 s"):
        datarun.wait(submission, timeout_seconds=0.1, progress=False)


def test_the_wait_outlives_a_restart_of_the_server(serve, submission_folder):
    datarun = client_of(serve(RestartsWhileWaitedFor))
    submission = datarun.post_submission(1, submission_folder, folds=FOLDS)
    assert set(datarun.wait(submission, progress=False).values()) == {"TESTED"}


def test_progress_is_shown_on_a_bar(serve, submission_folder, capsys):
    datarun = client_of(serve(FakeDatarun))
    datarun.wait(datarun.post_submission(1, submission_folder, folds=FOLDS))
    assert "submission 1: 100%" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_named():
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(DatarunClientError, match=f"the server is not up after 0.1 s: no answer from {url}"):
        Datarun(url, USER, PASSWORD).wait_until_up(timeout_seconds=0.1)


def test_a_wrong_password_is_not_waited_out(serve):
    with pytest.raises(DatarunClientError, match="401: Invalid username/password"):
        Datarun(serve(FakeDatarun).url, USER, "wrong").wait_until_up(timeout_seconds=600)


def test_an_answer_that_is_not_dataruns_is_said_to_be_so(serve):
    with pytest.raises(DatarunClientError, match="200: not an answer of datarun"):
        client_of(serve(AnswersHtml)).wait_until_up()


def test_a_moved_server_is_not_followed_by_a_post(serve, data_file):
    server = serve(HasMoved)
    with pytest.raises(DatarunClientError, match=r"301: it has moved to https://elsewhere\.example/"):
        client_of(server).post_data("iris", "b", "classifier", [data_file])
    assert [request.method for request in server.requests] == ["POST"]


def test_an_address_without_a_scheme_is_refused_in_words():
    with pytest.raises(DatarunClientError, match="cannot ask localhost:8000"):
        Datarun("localhost:8000", USER, PASSWORD).raw_data(1)
