"""A client of datarun for people: send data and submissions, wait, and get arrays and a table.

    from sklearn.model_selection import StratifiedKFold
    from test_files.client import Datarun

    datarun = Datarun("http://127.0.0.1:8000", "me", "my password")
    data = datarun.post_data("iris", "species", "classifier", ["iris.csv"], held_out_test=0.2)
    submission = datarun.post_submission(data["id"], "my_submission/", cv=StratifiedKFold(8), X=X, y=y)
    datarun.wait(submission)
    results = datarun.results(submission)
    print(results_table(results))
    results[0].test_predictions  # an array

Run it with the repository on the path of Python: from its folder, or with ``PYTHONPATH``.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from test_files import post_api
from test_files.client_connection import Connection, DatarunClientError

#: Results asked for in one request, so that no answer grows without bound.
RESULTS_PER_REQUEST = 50

FINAL_STATES = frozenset({"TESTED", "ERROR"})
_MEASURES = (
    "train_time", "validation_time", "test_time", "train_cpu_time", "test_cpu_time",
    "train_memory", "test_memory",
)  # fmt: skip

Fold = tuple[npt.ArrayLike, npt.ArrayLike]
Predictions = npt.NDArray[np.float64]


class Splitter(Protocol):
    """A cross-validation splitter of scikit-learn."""

    def split(
        self, X: Any, y: Any = None
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]: ...


@dataclasses.dataclass(frozen=True)
class Submission:
    """A submission that datarun has, and its folds."""

    id: int
    fold_ids: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class FoldResult:
    """What datarun knows of one fold. Times are seconds, memory is kB.

    ``full_train_predictions`` has a row per row of the training set, ``test_predictions`` one per row
    of the held-out test set; both are None unless ``state`` is TESTED.
    """

    fold_id: int
    submission_id: int
    state: str
    outcome: str
    log_messages: str
    full_train_predictions: Predictions | None
    test_predictions: Predictions | None
    train_time: float
    validation_time: float
    test_time: float
    train_cpu_time: float
    test_cpu_time: float
    train_memory: float
    test_memory: float


def results_table(results: Iterable[FoldResult]) -> pd.DataFrame:
    """A row per fold, with its submission, state, outcome, times in seconds and memory in kB."""
    columns = ("submission_id", "state", "outcome", *_MEASURES)
    rows = {result.fold_id: [getattr(result, name) for name in columns] for result in results}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(columns))
    return table.rename_axis("fold_id")


class Datarun:
    """A datarun server, and a user of it.

    Every method raises ``DatarunClientError`` when the server refuses, or does not answer.
    """

    def __init__(self, host_url: str, username: str, password: str) -> None:
        self._server = Connection(host_url, username, password)

    def wait_until_up(self, *, timeout_seconds: float = 60.0) -> None:
        """Wait until the server answers; raises at once when it does not let this user in."""
        self._server.poll(
            lambda: self._server.get("") is not None, timeout_seconds, lambda: "the server is not up"
        )

    def post_data(
        self,
        name: str,
        target_column: str,
        workflow_elements: str,
        files: Sequence[post_api.FileName],
        *,
        held_out_test: float = 0.2,
        random_state: int = 42,
        limits: Mapping[str, int] | None = None,
        timeout_seconds: float = 600.0,
        scorer: str = "",
    ) -> dict[str, Any]:
        """Send a data set, split it, wait for the split, and return what the server knows of it.

        Several files, one of them ending in ``.py``, are a custom data set: it splits itself, so that
        ``held_out_test`` and ``random_state`` are not used. ``limits`` of its folds, such as
        ``{"max_fold_seconds": 60, "max_memory_mb": 1000}``, hold where they are lower than the runner's.
        ``scorer`` is the name of a scorer of scikit-learn by which its submissions are scored.
        """
        extra = files[1:]
        body = post_api.data_body(name, target_column, workflow_elements, files) | dict(limits or {})
        if scorer:
            body["scorer"] = scorer
        answer = self._server.post("rawdata/", body)
        raw_data_id = int(answer["id"])
        if extra:
            self._server.ask(post_api.custom_post_split, raw_data_id)
        else:
            self._server.ask(post_api.post_split, held_out_test, raw_data_id, random_state)
        return self.wait_for_split(raw_data_id, timeout_seconds=timeout_seconds)

    def raw_data(self, raw_data_id: int) -> dict[str, Any]:
        """What the server knows of a data set."""
        for data in self._server.ask(post_api.get_raw_data):
            if data["id"] == raw_data_id:
                return dict(data)
        raise DatarunClientError(f"there is no data set {raw_data_id}")

    def wait_for_split(self, raw_data_id: int, *, timeout_seconds: float = 600.0) -> dict[str, Any]:
        """Wait until a data set is split; raises with the split's log if that failed."""
        data: dict[str, Any] = {}

        def split() -> bool:
            data.update(self.raw_data(raw_data_id))
            return data["split_state"] in ("DONE", "ERROR")

        self._server.poll(split, timeout_seconds, lambda: f"the split of data set {raw_data_id} is not done")
        if data["split_state"] == "ERROR":
            raise DatarunClientError(
                f"the split of data set {raw_data_id} failed: {data.get('split_log', '')}"
            )
        return data

    def post_submission(
        self,
        raw_data_id: int,
        folder: post_api.FileName,
        *,
        cv: Splitter | None = None,
        X: Any = None,
        y: Any = None,
        n_rows: int | None = None,
        folds: Iterable[Fold] | None = None,
        submission_id: int | None = None,
        first_fold_id: int | None = None,
        priority: str = "L",
        force: str | None = None,
    ) -> Submission:
        """Send the files of a folder as a submission, to be trained on several folds.

        Parameters
        ----------
        folder:
            Its files are the submission's, but for hidden ones; folders in it are not.
        cv, X, y, n_rows:
            A splitter of scikit-learn, and the training set that it splits: X or y, or where the splitter
            needs only a number of rows, ``n_rows``; without any, the number of rows the server knows.
        folds:
            In place of ``cv``: pairs of training and test row numbers.
        submission_id, first_fold_id:
            Ids to give; by default those after the largest that the server has. Folds are numbered onwards.
        force:
            As ``post_api.post_submission_fold``; without it ids already taken are refused.

        Raises
        ------
        ValueError
            If not exactly one of ``cv`` and ``folds`` is given, or there is no fold or no file.
        DatarunClientError
            If the server refuses a fold; those before it have been sent.
        """
        pairs = self._folds(raw_data_id, cv, X, y, n_rows, folds)
        files = sorted(path for path in Path(folder).iterdir() if path.is_file() and path.name[0] != ".")
        if not files:
            raise ValueError(f"{folder} has no files")
        if submission_id is None or first_fold_id is None:
            last_submission_id, last_fold_id = self._last_ids()
            submission_id = last_submission_id + 1 if submission_id is None else submission_id
            first_fold_id = last_fold_id + 1 if first_fold_id is None else first_fold_id
        for number, (train_is, test_is) in enumerate(pairs):
            new: dict[str, Any] = (
                {"raw_data_id": raw_data_id, "list_submission_files": files} if number == 0 else {}
            )
            # Only the first fold brings the files: forcing them again would cancel the folds sent so far.
            how = force if number == 0 or not force else "submission_fold"
            fold_id = first_fold_id + number
            self._server.ask(
                post_api.post_submission_fold,
                submission_id,
                fold_id,
                train_is,
                test_is,
                priority,
                force=how,
                **new,
            )
        return Submission(submission_id, tuple(range(first_fold_id, first_fold_id + len(pairs))))

    def submission(self, submission_id: int) -> Submission:
        """A submission that was sent earlier."""
        fold_ids = tuple(sorted(self._states(submission_id)))
        if not fold_ids:
            raise DatarunClientError(f"there is no fold of a submission {submission_id}")
        return Submission(submission_id, fold_ids)

    def wait(
        self, submission: Submission, *, timeout_seconds: float = 3600.0, progress: bool = True
    ) -> dict[int, str]:
        """Wait until each fold of a submission is TESTED or ERROR; the states by the folds' ids."""
        states: dict[int, str] = {}

        def unfinished() -> list[int]:
            return [fold_id for fold_id in submission.fold_ids if states.get(fold_id) not in FINAL_STATES]

        with tqdm(
            total=len(submission.fold_ids),
            desc=f"submission {submission.id}",
            unit="fold",
            disable=not progress,
        ) as bar:

            def finished() -> bool:
                states.update(self._states(submission.id))
                bar.update(len(submission.fold_ids) - len(unfinished()) - bar.n)
                return not unfinished()

            self._server.poll(finished, timeout_seconds, lambda: f"unfinished folds: {unfinished()}")
        return {fold_id: states[fold_id] for fold_id in submission.fold_ids}

    def results(self, submission: Submission) -> list[FoldResult]:
        """The results of a submission's folds, in their order, finished or not."""
        answers: dict[int, dict[str, Any]] = {}
        for start in range(0, len(submission.fold_ids), RESULTS_PER_REQUEST):
            asked = submission.fold_ids[start : start + RESULTS_PER_REQUEST]
            for fold in self._server.ask(post_api.get_prediction_list, asked):
                answers[fold["databoard_sf_id"]] = fold
        missing = [fold_id for fold_id in submission.fold_ids if fold_id not in answers]
        if missing:
            raise DatarunClientError(f"the server has no folds {missing}")
        return [_result(answers[fold_id]) for fold_id in submission.fold_ids]

    def change_data(self, raw_data_id: int, **changes: Any) -> dict[str, Any]:
        """Change ``scorer``, ``ranking`` or limits of a data set of yours; what the server knows then."""
        return dict(self._server.patch(f"rawdata/{raw_data_id}/", changes))

    def ranking(self, raw_data_id: int) -> pd.DataFrame:
        """A row per submission on a data set with its scores, best first; test scores where shown."""
        return pd.DataFrame(self._server.get(f"rawdata/{raw_data_id}/ranking/"))

    def scores(self, raw_data_id: int) -> pd.DataFrame:
        """A row per fold that you may see, with its scores or the reasons why it has none."""
        return pd.DataFrame(self._server.get(f"rawdata/{raw_data_id}/scores/"))

    def _folds(
        self,
        raw_data_id: int,
        cv: Splitter | None,
        X: Any,
        y: Any,
        n_rows: int | None,
        folds: Iterable[Fold] | None,
    ) -> list[Fold]:
        if (cv is None) == (folds is None):
            raise ValueError("give either cv or folds")
        if cv is not None:
            if X is None and y is not None:
                n_rows = len(y)
            elif X is None and n_rows is None:
                n_rows = int(self.wait_for_split(raw_data_id)["n_train_rows"])
            folds = cv.split(np.zeros((n_rows, 1)) if X is None else X, y)
        pairs = list(folds or ())
        if not pairs:
            raise ValueError("there is no fold to train")
        return pairs

    def _last_ids(self) -> tuple[int, int]:
        folds = self._server.ask(post_api.get_submission_fold_light)
        return (
            max((fold["databoard_s"] or 0 for fold in folds), default=0),
            max((fold["databoard_sf_id"] for fold in folds), default=0),
        )

    def _states(self, submission_id: int) -> dict[int, str]:
        folds = self._server.get("submissionfold-light/", submission=submission_id)
        return {
            fold["databoard_sf_id"]: fold["state"] for fold in folds if fold["databoard_s"] == submission_id
        }


def _result(fold: dict[str, Any]) -> FoldResult:
    return FoldResult(
        fold_id=fold["databoard_sf_id"],
        submission_id=fold["databoard_s"],
        outcome=fold.get("outcome") or "",
        state=fold["state"],
        log_messages=fold["log_messages"] or "",
        full_train_predictions=_predictions(fold, "full_train_predictions"),
        test_predictions=_predictions(fold, "test_predictions"),
        **{name: fold[name] for name in _MEASURES},
    )


def _predictions(fold: dict[str, Any], field: str) -> Predictions | None:
    return post_api.decode_predictions(fold[field], fold[f"{field}_shape"]) if fold[field] else None
