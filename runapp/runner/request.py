"""How a job enters a fold's process: one line of JSON, then the training rows as raw int64 bytes."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from runapp.runner.job import FoldJob, Limits, SplitJob


def encode_request(job: FoldJob | SplitJob, limits: Limits) -> bytes:
    body = {
        field.name: str(value) if isinstance(value := getattr(job, field.name), Path) else value
        for field in dataclasses.fields(job)
        if field.name != "train_is"
    }
    header = {"kind": type(job).__name__, "job": body, "limits": dataclasses.asdict(limits)}
    rows = job.train_is.astype("<i8").tobytes() if isinstance(job, FoldJob) else b""
    return json.dumps(header).encode() + b"\n" + rows


def decode_request(content: bytes) -> tuple[FoldJob | SplitJob, Limits]:
    line, _, rows = content.partition(b"\n")
    header = json.loads(line)
    body = header["job"]
    body["workflow_elements"] = tuple(body["workflow_elements"])
    body |= {name: Path(value) for name, value in body.items() if name.endswith("_folder")}
    limits = _limits(header["limits"])
    if header["kind"] == SplitJob.__name__:
        return SplitJob(**body), limits
    return FoldJob(**body, train_is=np.frombuffer(rows, dtype="<i8")), limits


def _limits(values: dict[str, Any]) -> Limits:
    of_runner = values["of_runner"]
    return Limits(**values | {"of_runner": None if of_runner is None else _limits(of_runner)})
