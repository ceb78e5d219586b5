"""The labels of a standard data set, outside pickle: read where only plain numbers and text may be read.

A label file is a line of JSON, ``{"dtype": dtype}``, and then the labels: as numbers of that dtype, or,
for the dtype ``json``, as a JSON list.
"""

import json
import mmap
import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from runapp.encodings import Indices
from runapp.errors import InvalidMessage

_JSON = "json"
_NUMERIC_KINDS = "biuf"
_MAX_HEADER_BYTES = 256

Labels = npt.NDArray[Any] | Sequence[Any]


def write_labels(stream: BinaryIO, labels: npt.NDArray[Any]) -> None:
    """Write labels of shape (n,), of any dtype that a CSV file's column can have."""
    dtype, content = encode(labels)
    stream.write(json.dumps({"dtype": dtype}).encode() + b"\n")
    stream.write(content)


def encode(labels: npt.NDArray[Any]) -> tuple[str, bytes]:
    """The dtype's name and the bytes that ``decode`` turns into the same array again."""
    if labels.dtype.kind in _NUMERIC_KINDS:
        return labels.dtype.str, np.ascontiguousarray(labels).tobytes()
    return _JSON, json.dumps(labels.tolist()).encode()


def decode(dtype: str, content: bytes) -> npt.NDArray[Any]:
    if dtype != _JSON:
        return np.frombuffer(bytearray(content), dtype=dtype)
    values = json.loads(content)
    labels = np.empty(len(values), dtype=object)
    labels[:] = values
    return labels


def open_labels(path: str | os.PathLike[str], n_rows: int) -> Labels:
    """The labels of a label file, numbers mapped from it.

    Raises
    ------
    InvalidMessage
        If it does not hold ``n_rows`` labels: it was written inside a sandbox, so nothing in it is trusted.
    """
    with open(path, "rb") as stream:
        try:
            dtype = json.loads(stream.readline(_MAX_HEADER_BYTES))["dtype"]
            if dtype == _JSON:
                labels: Labels = json.load(stream)
            else:
                numeric = np.dtype(str(dtype))
                content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
                labels = np.frombuffer(content, dtype=numeric, offset=stream.tell(), count=n_rows)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InvalidMessage(f"the prepared labels cannot be read: {error}") from None
    if isinstance(labels, np.ndarray):
        valid = labels.dtype.kind in _NUMERIC_KINDS
    else:
        valid = isinstance(labels, list) and len(labels) == n_rows
    if not valid:
        raise InvalidMessage(f"the prepared labels are not {n_rows} numbers or words")
    return labels


def cut(labels: Labels, rows: Indices) -> tuple[str, bytes]:
    """The labels of ``rows`` alone, encoded."""
    if isinstance(labels, np.ndarray):
        return encode(labels[rows])
    return _JSON, json.dumps([labels[row] for row in rows]).encode()
