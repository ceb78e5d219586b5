"""Prepared data: parsed once, then mapped by every fold. Written and read inside the sandbox alone.

The file is a pickle whose large buffers lie outside it, each at a multiple of 64 bytes, so that reading maps
them instead of copying::

    buffers | pickle | index (JSON: places of the buffers and of the pickle) | length of the index (8 bytes)

The mapping is private and copy-on-write: a submission may write into its arrays, and folds share what none
of them writes.
"""

import json
import mmap
import os
import pickle
from collections.abc import Mapping
from typing import Any, BinaryIO

from runapp.contract import SPECIFIC_FILE, TEST_FILE, TRAIN_FILE
from runapp.runner.custom import CustomData, CustomWorkflow, load_custom_data, load_specific
from runapp.runner.failure import DataError
from runapp.runner.fold import Reporter, run_data_step
from runapp.runner.isolation import labels, places
from runapp.runner.job import FoldJob
from runapp.runner.standard_data import StandardData, read_split_file
from runapp.runner.submission_package import make_importable
from runapp.runner.workflows import StandardWorkflow, Workflow

_ALIGNMENT = 64
_LENGTH_BYTES = 8


def prepare(job: FoldJob, descriptors: list[int], reporter: Reporter) -> None:
    """Parse a data set into the files that are open as ``descriptors``; every failure is reported.

    For a standard data set they are ``train.csv``, ``test.csv``, the prepared data and the labels to write;
    for a custom one the prepared data.
    """
    prepare_kind = _prepare_custom if job.custom else _prepare_standard
    run_data_step(lambda: prepare_kind(job, descriptors), reporter)


def _prepare_standard(job: FoldJob, descriptors: list[int]) -> tuple[int, int]:
    sources = [open(descriptor, "rb") for descriptor in descriptors[:2]]  # noqa: SIM115 - open until the fold ends
    train = read_split_file(sources[0], TRAIN_FILE, job.target_column, job.n_train_rows)
    test = read_split_file(sources[1], TEST_FILE, job.target_column, job.n_test_rows)
    # A copy puts columns of one dtype together, so that no fold has to copy them all to get an array.
    features = [frame.drop(columns=job.target_column).copy() for frame in (train, test)]
    with open(descriptors[2], "wb") as stream:
        _dump(features, stream)
    with open(descriptors[3], "wb") as stream:
        labels.write_labels(stream, train[job.target_column].to_numpy())
    return job.n_train_rows, job.n_test_rows


def _prepare_custom(job: FoldJob, descriptors: list[int]) -> tuple[int, int]:
    specific = load_specific(places.SOURCE)
    data = load_custom_data(
        specific, places.SOURCE, job.train_is, n_train_rows=job.n_train_rows, n_test_rows=job.n_test_rows
    )
    with open(descriptors[0], "wb") as stream:
        try:
            _dump([data.X_train, data.y_train, data.X_test], stream)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise DataError(
                f"what get_train_data and get_test_data return cannot be stored: {error}"
            ) from None
    return job.n_train_rows, job.n_test_rows


def load_workflow(job: FoldJob, descriptor: int, header: Mapping[str, Any], label_content: bytes) -> Workflow:
    """The fold's workflow, its data mapped from the prepared file."""
    module_path = make_importable(places.SUBMISSION)
    if not job.custom:
        X_train, X_test = _load(descriptor)
        y = labels.decode(header["labels_dtype"], label_content)
        data = StandardData(X_train=X_train, X_test=X_test, train_is=job.train_is, y=y)
        return StandardWorkflow(module_path, job.workflow_elements, data)
    places.DATA_CODE.mkdir()
    (places.DATA_CODE / SPECIFIC_FILE).write_bytes(label_content)
    specific = load_specific(places.DATA_CODE)
    X_train, y_train, X_test = _load(descriptor)
    custom_data = CustomData(
        X_train=X_train, y_train=y_train, X_test=X_test, train_is=job.train_is,
        n_train_rows=job.n_train_rows, n_test_rows=job.n_test_rows,
    )  # fmt: skip
    return CustomWorkflow(module_path, specific, custom_data)


def _dump(content: Any, stream: BinaryIO) -> None:
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(content, protocol=5, buffer_callback=buffers.append)
    spans = []
    for part in (*(buffer.raw() for buffer in buffers), memoryview(pickled)):
        stream.write(b"\0" * (-stream.tell() % _ALIGNMENT))
        spans.append((stream.tell(), part.nbytes))
        stream.write(part)
    index = json.dumps(spans).encode()
    stream.write(index + len(index).to_bytes(_LENGTH_BYTES, "big"))


def _load(descriptor: int) -> Any:
    size = os.fstat(descriptor).st_size
    content = memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY))
    end = size - _LENGTH_BYTES
    index_bytes = int.from_bytes(content[end:], "big")
    spans = json.loads(bytes(content[end - index_bytes : end]))
    *buffers, pickled = [content[start : start + length] for start, length in spans]
    return pickle.loads(pickled, buffers=buffers)  # noqa: S301 - read inside the sandbox only
