"""The requests that datarun answers, one function each. Needs requests and numpy only: copy it at will.

``host_url`` is where datarun is, such as ``http://127.0.0.1:8000/``, with or without the last slash;
``username`` and ``password`` are those of a datarun user. Every function returns the
``requests.Response`` as it came, also when it says that something is wrong, and raises
``requests.RequestException`` when there was no answer. A self-signed server is trusted through
requests' own variable ``REQUESTS_CA_BUNDLE``, the path of its certificate.

``test_files/client.py`` builds something more comfortable on these.
"""

import base64
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import requests

#: Seconds to wait for a connection, and for each part of the answer.
TIMEOUT_SECONDS = (10.0, 300.0)

FileName = str | os.PathLike[str]


def encode_bytes(content: bytes) -> str:
    """Content of a file as datarun takes it: base64 of the zlib-compressed bytes."""
    return base64.b64encode(zlib.compress(content)).decode("ascii")


def encode_files(files: Iterable[FileName]) -> dict[str, str]:
    """Read files and encode them, by their names without the folders.

    Raises
    ------
    ValueError
        If two of them have the same name.
    OSError
        If one cannot be read.
    """
    encoded: dict[str, str] = {}
    for path in map(Path, files):
        if path.name in encoded:
            raise ValueError(f"two files are called {path.name}")
        encoded[path.name] = encode_bytes(path.read_bytes())
    return encoded


def encode_indices(indices: npt.ArrayLike) -> str:
    """Row numbers, array-like of int of shape (n,), as datarun takes them.

    Raises
    ------
    ValueError
        If they are not whole numbers in one dimension. A mask of booleans is not, either.
    """
    array = np.asarray(indices)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"indices must be whole numbers in one dimension, not {array.dtype} of shape {array.shape}"
        )
    return encode_bytes(array.astype("<i8").tobytes())


def decode_predictions(text: str, shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """Predictions of an answer as an array of ``shape``: its field ``..._predictions_shape``."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<f8").reshape(shape)


def send_request(
    method: str,
    host_url: str,
    username: str,
    password: str,
    path: str,
    body: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
) -> requests.Response:
    """Send one request to ``path``, such as ``rawdata/``, with a JSON ``body`` and query ``parameters``."""
    return requests.request(
        method,
        f"{host_url.rstrip('/')}/runapp/{path}",
        # As bytes: requests would write names in Latin-1, and refuse what that does not have.
        auth=requests.auth.HTTPBasicAuth(username.encode(), password.encode()),
        json=body,
        params=parameters,
        headers={"Accept": "application/json"},
        timeout=TIMEOUT_SECONDS,
        # A POST that is followed elsewhere arrives there as a GET.
        allow_redirects=method == "GET",
    )


def data_body(
    data_name: str, target_column: str, workflow_elements: str, files: Iterable[FileName]
) -> dict[str, Any]:
    """The body of a request that sends a data set, from the paths of its files; as ``post_data``."""
    return {
        "name": data_name,
        "target_column": target_column,
        "workflow_elements": workflow_elements,
        "files": encode_files(files),
    }


def post_data(
    host_url: str,
    username: str,
    password: str,
    data_name: str,
    target_column: str,
    workflow_elements: str,
    data_file: FileName,
    extra_files: Iterable[FileName] | None = None,
) -> requests.Response:
    """Send a data set.

    Parameters
    ----------
    data_name:
        Name of the data set, which no other has.
    target_column:
        Name of the column to predict.
    workflow_elements:
        Such as ``feature_extractor,classifier``.
    data_file:
        Path of the file with the data.
    extra_files:
        Paths of further files of a custom data set, exactly one of them ending in ``.py``.
    """
    body = data_body(data_name, target_column, workflow_elements, [data_file, *(extra_files or [])])
    return send_request("POST", host_url, username, password, "rawdata/", body)


def post_split(
    host_url: str,
    username: str,
    password: str,
    held_out_test: float,
    raw_data_id: int,
    random_state: int = 42,
) -> requests.Response:
    """Ask for the split of a standard data set; ``held_out_test`` is the part of it kept for testing."""
    body = {"random_state": random_state, "held_out_test": held_out_test, "raw_data_id": int(raw_data_id)}
    return send_request("POST", host_url, username, password, "rawdata/split/", body)


def custom_post_split(host_url: str, username: str, password: str, raw_data_id: int) -> requests.Response:
    """Ask for the split of a custom data set, by the ``prepare_data`` that was sent with it."""
    return send_request(
        "POST", host_url, username, password, "rawdata/customsplit/", {"raw_data_id": int(raw_data_id)}
    )


def post_submission_fold(
    host_url: str,
    username: str,
    password: str,
    sub_id: int,
    sub_fold_id: int,
    train_is: npt.ArrayLike,
    test_is: npt.ArrayLike,
    priority: str = "L",
    raw_data_id: int | None = None,
    list_submission_files: Iterable[FileName] | None = None,
    force: str | None = None,
) -> requests.Response:
    """Send a submission on a fold to be trained, and the submission itself where it is new.

    Parameters
    ----------
    sub_id, sub_fold_id:
        Ids of the submission and of the fold, both chosen by the caller.
    train_is, test_is:
        Row numbers of the training and test part, of shape (n,).
    priority:
        ``L`` for low or ``H`` for high.
    raw_data_id, list_submission_files:
        Id of the data set and paths of the submission's files: for a new submission.
    force:
        To replace what has these ids already: ``submission_fold`` for the fold alone, ``submission`` or
        ``submission,submission_fold`` for both.
    """
    body: dict[str, Any] = {
        "databoard_s_id": int(sub_id),
        "databoard_sf_id": int(sub_fold_id),
        "train_is": encode_indices(train_is),
        "test_is": encode_indices(test_is),
        "priority": priority,
    }
    if raw_data_id is not None:
        body["raw_data"] = int(raw_data_id)
    if list_submission_files is not None:
        body["files"] = encode_files(list_submission_files)
    if force is not None:
        body["force"] = force
    return send_request("POST", host_url, username, password, "submissionfold/", body)


def get_prediction_list(
    host_url: str, username: str, password: str, list_submission_fold_id: Iterable[int]
) -> requests.Response:
    """Get the predictions of the folds with these ids."""
    body = {"list_submission_fold": [int(fold_id) for fold_id in list_submission_fold_id]}
    return send_request("POST", host_url, username, password, "testpredictions/list/", body)


def get_prediction_new(
    host_url: str, username: str, password: str, raw_data_id: int | None = None
) -> requests.Response:
    """Get the predictions not handed out before, of one data set or of all."""
    body = {} if raw_data_id is None else {"raw_data_id": int(raw_data_id)}
    return send_request("POST", host_url, username, password, "testpredictions/new/", body)


def get_raw_data(host_url: str, username: str, password: str) -> requests.Response:
    """Get all data sets."""
    return send_request("GET", host_url, username, password, "rawdata/")


def get_submission_fold(host_url: str, username: str, password: str) -> requests.Response:
    """Get all submissions on folds, with everything known of them."""
    return send_request("GET", host_url, username, password, "submissionfold/")


def get_submission_fold_light(host_url: str, username: str, password: str) -> requests.Response:
    """Get id, submission, state and newness of all submissions on folds."""
    return send_request("GET", host_url, username, password, "submissionfold-light/")


def get_submission_fold_detail(
    host_url: str, username: str, password: str, submission_fold_id: int
) -> requests.Response:
    """Get one submission on a fold."""
    return send_request("GET", host_url, username, password, f"submissionfold/{submission_fold_id}/")
