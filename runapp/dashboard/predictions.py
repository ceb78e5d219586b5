"""Predictions of a fold as files: ``.npy`` as numpy writes it, and CSV. Written piece by piece."""

import base64
import io
import math
import zlib
from collections.abc import Iterator

import numpy as np
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe
from numpy.lib.format import write_array_header_1_0

from runapp.dashboard.requests import user_of
from runapp.models import SubmissionFold

#: Fields of a fold by the name of its file.
FIELDS = {"train": "full_train_predictions", "test": "test_predictions"}
MEDIA_TYPES = {"npy": "application/octet-stream", "csv": "text/csv; charset=utf-8"}

#: Characters of base64 decoded at a time, a multiple of 4.
_PIECE_CHARS = 256 * 1024
_FLOAT_BYTES = 8


@login_required
@require_safe
def predictions_file(request: HttpRequest, pk: int, part: str, kind: str) -> StreamingHttpResponse:
    """A fold's predictions of the training or test set; 404 where there are none, or to whom it is not shown.

    To look at them does not count as handing them out.
    """
    if part not in FIELDS or kind not in MEDIA_TYPES:
        raise Http404
    field = FIELDS[part]
    visible = SubmissionFold.objects.visible_to(user_of(request)).only(field, f"{field}_shape")
    fold = get_object_or_404(visible, pk=pk)
    text, shape = getattr(fold, field), getattr(fold, f"{field}_shape")
    if not text or not shape:
        raise Http404
    content = _npy(text, tuple(shape)) if kind == "npy" else _csv(text, tuple(shape))
    response = StreamingHttpResponse(content, content_type=MEDIA_TYPES[kind])
    response.headers["Content-Disposition"] = f'attachment; filename="fold{pk}-{part}-predictions.{kind}"'
    return response


def _pieces(text: str) -> Iterator[bytes]:
    """The little-endian float64 bytes of predictions, never more than a piece's at a time."""
    stream = zlib.decompressobj()
    for start in range(0, len(text), _PIECE_CHARS):
        packed = base64.b64decode(text[start : start + _PIECE_CHARS])
        while packed:
            yield stream.decompress(packed, _PIECE_CHARS)
            packed = stream.unconsumed_tail
    yield stream.flush()


def _npy(text: str, shape: tuple[int, ...]) -> Iterator[bytes]:
    header = io.BytesIO()
    write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    yield header.getvalue()
    yield from _pieces(text)


def _csv(text: str, shape: tuple[int, ...]) -> Iterator[bytes]:
    """A heading and a line for each row; the numbers read back as the same float64."""
    n_columns = math.prod(shape[1:])
    row_bytes = n_columns * _FLOAT_BYTES
    yield (",".join(f"prediction_{i}" for i in range(n_columns)) + "\n").encode()
    left = b""
    for piece in _pieces(text):
        left += piece
        whole = len(left) - len(left) % row_bytes
        rows = np.frombuffer(left[:whole], dtype="<f8").reshape(-1, n_columns)
        yield "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()).encode()
        left = left[whole:]
