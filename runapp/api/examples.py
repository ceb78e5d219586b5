"""Examples of each operation, with ids that the reader of the page may use at once."""

import dataclasses
import json
import shlex
import textwrap
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Max

from runapp.encodings import encode_bytes, encode_indices
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.rights import Person

_TOKEN = "DATARUN_TOKEN"  # noqa: S105 - the name of a variable
_FLOWERS = "width,height,species\n" + "".join(f"{i % 7},{9 - i % 5},{'ab'[i % 2]}\n" for i in range(20))
_CLASSIFIER = """from sklearn.linear_model import LogisticRegression


class Classifier(LogisticRegression):
    pass
"""


@dataclasses.dataclass(frozen=True)
class Ids:
    """Ids of what the reader has, the latest of each, and ids that nobody has yet."""

    data_set: int = 1
    custom_data_set: int = 1
    data_set_name: str = "flowers"
    fold: int = 1
    new_fold: int = 11
    new_submission: int = 1

    @classmethod
    def of(cls, person: Person) -> "Ids":
        """The ids of somebody's own; those of the class where there are none."""
        if isinstance(person, AnonymousUser):
            return cls()
        own = RawData.objects.changeable_by(person).order_by("pk")
        data_set, custom = own.filter(custom=False).last(), own.filter(custom=True).last()
        fold = SubmissionFold.objects.changeable_by(person).order_by("created_at").only("pk").last()
        count = RawData.objects.aggregate(last=Max("pk"))["last"] or 0
        last_fold = SubmissionFold.objects.aggregate(last=Max("pk"))["last"]
        last_submission = Submission.objects.aggregate(last=Max("pk"))["last"]
        return cls(
            data_set=data_set.pk if data_set else cls.data_set,
            custom_data_set=custom.pk if custom else cls.custom_data_set,
            data_set_name=f"flowers{count + 1}",
            fold=fold.pk if fold else cls.fold,
            new_fold=cls.new_fold if last_fold is None else last_fold + 1,
            new_submission=cls.new_submission if last_submission is None else last_submission + 1,
        )


@dataclasses.dataclass(frozen=True)
class Example:
    """What is sent, and some fields of what is answered."""

    body: Callable[[Ids], dict[str, Any]] | None
    answer: Any


def _data_set(ids: Ids) -> dict[str, Any]:
    return {
        "name": ids.data_set_name,
        "target_column": "species",
        "workflow_elements": "classifier",
        "files": {"flowers.csv": encode_bytes(_FLOWERS.encode())},
    }


def _fold(ids: Ids) -> dict[str, Any]:
    return {
        "databoard_sf_id": ids.new_fold,
        "databoard_s_id": ids.new_submission,
        "raw_data": ids.data_set,
        "train_is": encode_indices(range(8)),
        "test_is": encode_indices(range(8, 10)),
        "files": {"classifier.py": encode_bytes(_CLASSIFIER.encode())},
    }


_FOLD_ANSWER = {"databoard_sf_id": 11, "databoard_s": 1, "state": "TODO", "outcome": "", "priority": "L"}
_TASK_ANSWER = {"task_id": "6f0c2a2e-53a0-4a6f-8d6b-0c1f3ab6a0f5"}
_PREDICTION = {
    "databoard_sf_id": 11,
    "databoard_s": 1,
    "state": "TESTED",
    "outcome": "ok",
    "test_predictions": "eJxjYACBD/YMUNoBAAeUAZE=",
    "test_predictions_shape": [10, 2],
    "train_time": 0.012,
}

EXAMPLES: dict[tuple[str, str], Example] = {
    ("get", "/runapp/"): Example(None, {"rawdata": "http://127.0.0.1:8000/runapp/rawdata/"}),
    ("post", "/runapp/rawdata/"): Example(
        _data_set, {"id": 1, "name": "flowers", "workflow_elements": "classifier", "split_state": "NONE"}
    ),
    ("get", "/runapp/rawdata/"): Example(None, [{"id": 1, "name": "flowers", "split_state": "NONE"}]),
    ("patch", "/runapp/rawdata/{id}/"): Example(
        lambda _: {"scorer": "accuracy", "max_fold_seconds": 60},
        {"id": 1, "name": "flowers", "scorer": "accuracy", "ranking": "validation", "max_fold_seconds": 60},
    ),
    ("get", "/runapp/rawdata/{id}/ranking/"): Example(
        None,
        [
            {
                "databoard_s_id": 1,
                "owner": "ada",
                "n_folds": 2,
                "n_scored_folds": 2,
                "validation_score_mean": 0.9,
            }
        ],
    ),
    ("get", "/runapp/rawdata/{id}/scores/"): Example(
        None, [{"databoard_sf_id": 11, "databoard_s": 1, "validation_score": 0.9, "scored_with": "accuracy"}]
    ),
    ("post", "/runapp/rawdata/split/"): Example(
        lambda ids: {"raw_data_id": ids.data_set, "held_out_test": 0.5}, _TASK_ANSWER
    ),
    ("post", "/runapp/rawdata/customsplit/"): Example(
        lambda ids: {"raw_data_id": ids.custom_data_set}, _TASK_ANSWER
    ),
    ("post", "/runapp/submissionfold/"): Example(_fold, _FOLD_ANSWER),
    ("get", "/runapp/submissionfold/"): Example(None, [_FOLD_ANSWER]),
    ("get", "/runapp/submissionfold-light/"): Example(
        None, [{"databoard_sf_id": 11, "databoard_s": 1, "state": "TODO", "new": True}]
    ),
    ("get", "/runapp/submissionfold/{databoard_sf_id}/"): Example(None, _FOLD_ANSWER),
    ("post", "/runapp/submissionfold/{id}/cancel/"): Example(
        None, _FOLD_ANSWER | {"state": "ERROR", "outcome": "cancelled"}
    ),
    ("post", "/runapp/submissionfold/{id}/retrain/"): Example(None, _FOLD_ANSWER),
    ("post", "/runapp/testpredictions/list/"): Example(
        lambda ids: {"list_submission_fold": [ids.fold]}, [_PREDICTION]
    ),
    ("post", "/runapp/testpredictions/new/"): Example(
        lambda ids: {"raw_data_id": ids.data_set}, [_PREDICTION]
    ),
    ("get", "/runapp/runners/"): Example(
        None, [{"runner": "runner@host1", "places": 2, "free_places": 1, "isolation": "full"}]
    ),
}


def path_id(path: str, ids: Ids) -> int:
    """The id in an operation's path: that of a data set or of a fold."""
    return ids.data_set if path.startswith("/runapp/rawdata/") else ids.fold


def code_samples(method: str, path: str, *, address: str, ids: Ids) -> list[dict[str, str]]:
    """An operation as commands for a shell and for Python, which work when pasted."""
    example = EXAMPLES[method, path]
    body = example.body(ids) if example.body else None
    number = path_id(path, ids)
    url = address.rstrip("/") + path.format(id=number, databoard_sf_id=number)
    return [
        {"lang": "Shell", "label": "curl", "source": _curl(method, url, body)},
        {"lang": "Python", "label": "requests", "source": _requests(method, url, body)},
    ]


def _curl(method: str, url: str, body: dict[str, Any] | None) -> str:
    parts = [f'curl -H "Authorization: Token ${_TOKEN}"']
    if method == "patch" or (method == "post" and body is None):
        parts.append(f"-X {method.upper()}")
    if body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(body))}"]
    return " \\\n  ".join([*parts, shlex.quote(url)])


def _requests(method: str, url: str, body: dict[str, Any] | None) -> str:
    arguments = [json.dumps(url), f"headers={{'Authorization': f'Token {{os.environ[\"{_TOKEN}\"]}}'}}"]
    if body is not None:
        arguments.append(f"json={json.dumps(body, indent=4)}")
    call = textwrap.indent(",\n".join(arguments), "    ")
    return (
        f"import os\nimport requests\n\nanswer = requests.{method}(\n{call},\n)\n"
        "answer.raise_for_status()\nprint(answer.json())"
    )
