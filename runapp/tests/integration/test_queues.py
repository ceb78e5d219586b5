"""Folds in the queues of the real broker."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from test_files.client import Datarun
from test_files.processes import wait_until
from test_files.stack import Stack

_FOLD = (np.arange(100), np.arange(100, 120))


def test_a_fold_of_high_priority_does_not_wait_for_those_of_low_priority(
    datarun: Datarun, iris_id: int, write_submission: Callable[..., Path]
) -> None:
    slow = write_submission(probability=0.25, fit_seconds=2.0)
    low = datarun.post_submission(iris_id, slow, folds=[_FOLD] * 4, priority="L")
    quick = write_submission(probability=0.75)
    high = datarun.post_submission(iris_id, quick, folds=[_FOLD], priority="H")

    datarun.wait(high, timeout_seconds=60, progress=False)
    unfinished = [
        result.fold_id for result in datarun.results(low) if result.state not in ("TESTED", "ERROR")
    ]

    assert unfinished, "the fold of high priority was tested after all those of low priority"
    assert set(datarun.wait(low, timeout_seconds=60, progress=False).values()) == {"TESTED"}


def test_a_fold_forced_while_it_runs_gives_its_place_to_the_newer_code(
    datarun: Datarun, stack: Stack, iris_id: int, write_submission: Callable[..., Path]
) -> None:
    older_seconds = 120.0
    older = write_submission(probability=0.125, fit_seconds=older_seconds)
    submission = datarun.post_submission(iris_id, older, folds=[_FOLD])
    marks = stack.exchange_folder / "marks"
    wait_until(lambda: marks.is_dir() and any(marks.glob("*.json")), seconds=30, what="the older run's start")

    forced_at = time.monotonic()
    newer = write_submission(probability=0.5)
    datarun.post_submission(
        iris_id,
        newer,
        folds=[_FOLD],
        submission_id=submission.id,
        first_fold_id=submission.fold_ids[0],
        force="submission",
    )
    datarun.wait(submission, timeout_seconds=older_seconds, progress=False)

    [result] = datarun.results(submission)
    assert result.state == "TESTED", result.log_messages
    assert result.test_predictions is not None
    assert np.unique(result.test_predictions).tolist() == [0.5]
    assert time.monotonic() - forced_at < older_seconds / 2, "the older run kept its runner"


def test_a_fold_posted_while_the_broker_is_down_is_accepted_and_trained_later(
    datarun: Datarun, stack: Stack, iris_id: int, write_submission: Callable[..., Path]
) -> None:
    rabbitmq = stack.services.rabbitmq
    rabbitmq.stop()
    try:
        submission = datarun.post_submission(iris_id, write_submission(probability=0.375), folds=[_FOLD])
        [while_down] = datarun.results(submission)
    finally:
        rabbitmq.start()
        rabbitmq.wait_until_ready()

    assert while_down.state == "TODO"
    # Beat sends it within a minute; before that the workers have to find the broker again.
    assert set(datarun.wait(submission, timeout_seconds=150, progress=False).values()) == {"TESTED"}


def test_folds_that_finish_while_the_master_worker_is_dead_are_saved_when_it_is_back(
    datarun: Datarun, stack: Stack, iris_id: int, write_submission: Callable[..., Path]
) -> None:
    outcomes = stack.exchange_folder / "outcomes"
    stack.master.kill()
    try:
        submission = datarun.post_submission(iris_id, write_submission(probability=0.625), folds=[_FOLD] * 3)
        wait_until(
            lambda: len(list(outcomes.glob("*.json"))) == 3, seconds=120, what="the end of three folds"
        )
        before = {result.state for result in datarun.results(submission)}
    finally:
        stack.master.start()
        stack.master.wait_until_ready()

    assert before.isdisjoint({"TESTED", "ERROR"})
    assert set(datarun.wait(submission, timeout_seconds=90, progress=False).values()) == {"TESTED"}
    assert not list(outcomes.glob("*.json"))
