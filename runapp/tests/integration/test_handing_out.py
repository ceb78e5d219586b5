"""``testpredictions/new/`` with several callers at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from test_files import post_api
from test_files.client import Datarun
from test_files.examples import STANDARD_EXAMPLES
from test_files.stack import Stack


def test_callers_at_the_same_moment_never_get_the_same_fold(
    datarun: Datarun, stack: Stack, write_submission: Callable[..., Path]
) -> None:
    example = STANDARD_EXAMPLES[0]
    data = datarun.post_data(
        "iris_to_hand_out", example.target_column, example.workflow_elements, example.files
    )
    fold = (np.arange(100), np.arange(100, 120))
    submission = datarun.post_submission(data["id"], write_submission(probability=0.5), folds=[fold] * 8)
    datarun.wait(submission, timeout_seconds=120, progress=False)
    n_callers = 4
    start = threading.Barrier(n_callers)

    def ask(_: int) -> list[int]:
        start.wait(timeout=30)
        answer = post_api.get_prediction_new(stack.url, stack.username, stack.password, data["id"])
        answer.raise_for_status()
        return [fold["databoard_sf_id"] for fold in answer.json()]

    with ThreadPoolExecutor(n_callers) as pool:
        handed_out = [fold_id for answer in pool.map(ask, range(n_callers)) for fold_id in answer]

    assert sorted(handed_out) == sorted(submission.fold_ids)
