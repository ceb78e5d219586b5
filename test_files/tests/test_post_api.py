import base64
import inspect
import zlib

import numpy as np
import pytest
import requests
from fake_datarun import PASSWORD, USER, FakeDatarun
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as st_numpy

from runapp import encodings
from test_files import post_api

SIGNATURES = {
    "post_data": "host_url, username, password, data_name, target_column, workflow_elements, data_file, "
    "extra_files=None",
    "post_split": "host_url, username, password, held_out_test, raw_data_id, random_state=42",
    "custom_post_split": "host_url, username, password, raw_data_id",
    "post_submission_fold": "host_url, username, password, sub_id, sub_fold_id, train_is, test_is, "
    "priority='L', raw_data_id=None, list_submission_files=None, force=None",
    "get_prediction_list": "host_url, username, password, list_submission_fold_id",
    "get_prediction_new": "host_url, username, password, raw_data_id=None",
    "get_raw_data": "host_url, username, password",
    "get_submission_fold": "host_url, username, password",
    "get_submission_fold_light": "host_url, username, password",
    "get_submission_fold_detail": "host_url, username, password, submission_fold_id",
}


@pytest.fixture
def server(serve):
    return serve(FakeDatarun)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_functions_of_release_0_4_keep_their_arguments(name):
    signature = inspect.signature(getattr(post_api, name))
    plain = signature.replace(
        parameters=[p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    assert str(plain) == f"({SIGNATURES[name]})"


@given(st.binary())
def test_the_service_decodes_an_encoded_file(content):
    assert encodings.decode_bytes(post_api.encode_bytes(content), max_bytes=len(content)) == content


@given(st.lists(st.integers(0, 2**62)))
def test_the_service_decodes_encoded_indices(indices):
    decoded = encodings.decode_indices(post_api.encode_indices(indices), max_bytes=2**20)
    assert decoded.tolist() == indices


@pytest.mark.parametrize("dtype", ["<i4", ">i8", "u1", "<i8"])
def test_indices_of_any_integer_type_arrive_as_little_endian_int64(dtype):
    encoded = post_api.encode_indices(np.array([3, 0, 200], dtype=dtype))
    assert np.frombuffer(zlib.decompress(base64.b64decode(encoded)), "<i8").tolist() == [3, 0, 200]


def test_every_second_index_of_an_array_is_encoded_as_such():
    decoded = encodings.decode_indices(post_api.encode_indices(np.arange(6)[::2]), max_bytes=100)
    assert decoded.tolist() == [0, 2, 4]


@pytest.mark.parametrize("indices", [[True, False], [0.5], [[1, 2]], ["a"], 3])
def test_what_is_no_row_numbers_is_not_sent(indices):
    with pytest.raises(ValueError, match="whole numbers in one dimension"):
        post_api.encode_indices(indices)


@given(st_numpy.arrays("<f8", st_numpy.array_shapes(min_dims=1, max_dims=2, min_side=0)))
def test_predictions_of_the_service_are_decoded_bit_for_bit(predictions):
    decoded = post_api.decode_predictions(encodings.encode_predictions(predictions), predictions.shape)
    assert (decoded.shape, decoded.tobytes()) == (predictions.shape, predictions.tobytes())


def test_two_files_of_the_same_name_are_not_sent(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "classifier.py").touch()
    with pytest.raises(ValueError, match=r"two files are called classifier\.py"):
        post_api.encode_files([tmp_path / "a" / "classifier.py", tmp_path / "b" / "classifier.py"])


@pytest.mark.parametrize("slash", ["", "/", "//"])
def test_the_address_ends_with_a_slash_or_not(server, slash):
    response = post_api.get_raw_data(server.url + slash, USER, PASSWORD)
    assert (response.status_code, response.json()) == (200, [])
    assert server.requests[0].path == "/runapp/rawdata/"


def test_each_function_sends_its_request(server, tmp_path):
    file, extra = tmp_path / "stars.csv", tmp_path / "stars.py"
    file.write_bytes(b"\x00\xff")
    extra.write_text("pass")
    account = (server.url, USER, PASSWORD)
    files = {"stars.csv": post_api.encode_bytes(b"\x00\xff"), "stars.py": post_api.encode_bytes(b"pass")}
    rows, one_row = post_api.encode_indices([1, 2]), post_api.encode_indices([3])
    fold = {"databoard_s_id": 5, "databoard_sf_id": 6, "train_is": rows, "test_is": one_row}

    post_api.post_data(*account, "stars", "type", "classifier", str(file), [extra])
    post_api.post_split(*account, 0.3, 1)
    post_api.custom_post_split(*account, 1)
    post_api.post_submission_fold(*account, 5, 6, np.array([1, 2]), [3], "H", 1, [file], "submission")
    post_api.post_submission_fold(*account, 5, np.int64(6), [1, 2], [3])
    post_api.get_prediction_list(*account, np.array([6, 7]))
    post_api.get_prediction_new(*account, 1)
    post_api.get_prediction_new(*account)
    post_api.get_submission_fold(*account)
    post_api.get_submission_fold_light(*account)
    post_api.get_submission_fold_detail(*account, 6)

    data = {"name": "stars", "target_column": "type", "workflow_elements": "classifier", "files": files}
    new = {"raw_data": 1, "files": {"stars.csv": files["stars.csv"]}, "force": "submission"}
    assert [(r.method, r.path.removeprefix("/runapp/"), r.body) for r in server.requests] == [
        ("POST", "rawdata/", data),
        ("POST", "rawdata/split/", {"held_out_test": 0.3, "raw_data_id": 1, "random_state": 42}),
        ("POST", "rawdata/customsplit/", {"raw_data_id": 1}),
        ("POST", "submissionfold/", fold | new | {"priority": "H"}),
        ("POST", "submissionfold/", fold | {"priority": "L"}),
        ("POST", "testpredictions/list/", {"list_submission_fold": [6, 7]}),
        ("POST", "testpredictions/new/", {"raw_data_id": 1}),
        ("POST", "testpredictions/new/", {}),
        ("GET", "submissionfold/", None),
        ("GET", "submissionfold-light/", None),
        ("GET", "submissionfold/6/", None),
    ]


def test_a_refusal_is_returned_not_raised(server):
    response = post_api.get_raw_data(server.url, USER, "wrong")
    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"


def test_no_request_waits_without_end(monkeypatch):
    timeouts = []

    def record(*arguments, timeout=None, **options):
        timeouts.append(timeout)
        return requests.Response()

    monkeypatch.setattr(requests, "request", record)
    for name in ("get_raw_data", "get_submission_fold", "get_submission_fold_light", "get_prediction_new"):
        getattr(post_api, name)("http://127.0.0.1", USER, PASSWORD)
    assert timeouts == [post_api.TIMEOUT_SECONDS] * 4
