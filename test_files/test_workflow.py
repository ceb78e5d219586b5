"""Send the examples to a datarun server, and compare what it predicts with the same training here.

    python test_workflow.py http://127.0.0.1:8000 USER PASSWORD

Each submission is trained on several folds by the server, and by scikit-learn alone in this process.
The predictions must be equal bit for bit: `Oh yeah 1!` says so of the standard data sets, `Oh yeah 2!`
of the custom one. Every run sends its data sets under new names, so that it can be run again.
"""

import argparse
import dataclasses
import os
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import ShuffleSplit
from tqdm import tqdm

if __package__ in (None, ""):  # run as a script: `test_files` must be found all the same
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from test_files.client import Datarun, FoldResult, Submission
from test_files.client_connection import DatarunClientError
from test_files.examples import CUSTOM_EXAMPLES, HELD_OUT_TEST, RANDOM_STATE, STANDARD_EXAMPLES, Example
from test_files.local_training import CustomTraining, Indices, StandardTraining, train_in_process

_WAIT_SECONDS = 900.0


class PredictionsDiffer(Exception):
    """The service does not predict what the same training here predicts."""


@dataclasses.dataclass(frozen=True)
class SentExample:
    """An example that the server has, and what is needed to train it here."""

    example: Example
    training: StandardTraining | CustomTraining
    train_is: list[Indices]
    submission: Submission


def send(datarun: Datarun, example: Example, *, n_folds: int) -> SentExample:
    """Send an example's data and submission under new names."""
    training = train_in_process(example)
    data = datarun.post_data(
        f"{example.name}_{uuid.uuid4().hex[:12]}",
        example.target_column,
        example.workflow_elements,
        example.files,
        held_out_test=HELD_OUT_TEST,
        random_state=RANDOM_STATE,
    )
    splitter = ShuffleSplit(n_splits=n_folds, test_size=0.25, random_state=RANDOM_STATE)
    folds = list(splitter.split(np.zeros((len(training.y), 1))))
    submission = datarun.post_submission(data["id"], example.submission_folder, folds=folds)
    return SentExample(example, training, [train_is for train_is, _ in folds], submission)


def compare(datarun: Datarun, sent: SentExample) -> None:
    """Train an example here, wait for the service's results, and compare.

    Raises
    ------
    PredictionsDiffer
        If a fold failed on the service, or one prediction differs in one bit.
    """
    bar = tqdm(sent.train_is, desc=f"{sent.example.name} in process", unit="fold")
    expected = [sent.training.predictions(train_is) for train_is in bar]
    datarun.wait(sent.submission, timeout_seconds=_WAIT_SECONDS)
    for result, here in zip(datarun.results(sent.submission), expected, strict=True):
        if result.state != "TESTED":
            raise PredictionsDiffer(
                f"{_where(sent, result)} is {result.state}, {result.outcome}:\n{result.log_messages}"
            )
        for kind, theirs, ours in (
            ("full_train_predictions", result.full_train_predictions, here.full_train),
            ("test_predictions", result.test_predictions, here.test),
        ):
            if difference := _difference(theirs, ours):
                raise PredictionsDiffer(f"{_where(sent, result)}: {kind} {difference}")
    print(f"{sent.example.name}: {len(expected)} folds predicted equally, bit for bit")


def _where(sent: SentExample, result: FoldResult) -> str:
    return f"{sent.example.name}, fold {result.fold_id}"


def _difference(theirs: npt.NDArray[np.float64] | None, ours: npt.NDArray[np.float64]) -> str:
    """How two arrays differ, in words; empty where they are the same bit for bit."""
    if theirs is None:
        return "are missing"
    if theirs.shape != ours.shape:
        return f"have the shape {theirs.shape} on the service, {ours.shape} here"
    if theirs.tobytes() == ours.astype("<f8").tobytes():
        return ""
    return (
        f"differ by up to {np.abs(theirs - ours).max():.3g}: do service and this process have the same "
        "scikit-learn, and the same kind of processor?"
    )


def run(datarun: Datarun, examples: Iterable[Example], *, n_folds: int) -> None:
    """Send all examples, then compare each: the service trains while this process does."""
    for sent in [send(datarun, example, n_folds=n_folds) for example in examples]:
        compare(datarun, sent)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("host", help="address of the server, such as http://127.0.0.1:8000")
    parser.add_argument("user", help="a user of the server")
    parser.add_argument("password", help="that user's password")
    parser.add_argument("--folds", type=int, default=3, metavar="N", help="folds per submission (3)")
    parser.add_argument(
        "--ca-file", metavar="FILE", help="trust a server with this certificate, e.g. a self-signed one"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long the server may take to start (60)",
    )
    arguments = parser.parse_args()
    if arguments.folds < 1:
        parser.error("--folds must be at least 1")
    if arguments.ca_file:
        if not Path(arguments.ca_file).is_file():
            parser.error(f"there is no file {arguments.ca_file}")
        os.environ["REQUESTS_CA_BUNDLE"] = arguments.ca_file
    datarun = Datarun(arguments.host, arguments.user, arguments.password)
    try:
        datarun.wait_until_up(timeout_seconds=arguments.wait)
        run(datarun, STANDARD_EXAMPLES, n_folds=arguments.folds)
        print("Oh yeah 1!", flush=True)
        run(datarun, CUSTOM_EXAMPLES, n_folds=arguments.folds)
        print("Oh yeah 2!", flush=True)
    except (DatarunClientError, PredictionsDiffer) as error:
        sys.exit(f"test_workflow.py: {error}")


if __name__ == "__main__":
    main()
