"""How files, indices and predictions are written in JSON: ``base64(zlib(bytes))``. No Django.

Everything decoded here came from a stranger: decompression stops at a limit.
"""

import base64
import binascii
import math
import zlib

import numpy as np
import numpy.typing as npt

from runapp.errors import DatarunError

Indices = npt.NDArray[np.int64]
Predictions = npt.NDArray[np.float64]

#: Fast compression: predictions hardly shrink further at higher levels, and a fold waits for it.
_COMPRESSION_LEVEL = 1


class NotEncoded(DatarunError):
    """Not base64 of zlib-compressed bytes."""

    code = "not_encoded"


class DecompressedTooLarge(DatarunError):
    """Decompresses to more bytes than this server accepts."""

    code = "too_large"


def encode_bytes(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, _COMPRESSION_LEVEL)).decode("ascii")


def decode_bytes(text: str, *, max_bytes: int) -> bytes:
    """Decode ``base64(zlib(bytes))``.

    Raises
    ------
    NotEncoded
        If ``text`` is anything else, or is cut off, or goes on after its end.
    DecompressedTooLarge
        If it holds more than ``max_bytes``; no more than that is ever decompressed.
    """
    try:
        # Older clients wrapped base64 in lines, as `base64.encodebytes` does.
        packed = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise NotEncoded("not valid base64") from None
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, max_bytes + 1)
    except zlib.error:
        raise NotEncoded("base64, but not of zlib-compressed bytes") from None
    if len(content) > max_bytes:
        raise DecompressedTooLarge(
            f"decompresses to more than the {max_bytes} bytes that this server accepts"
        )
    if not stream.eof or stream.unused_data:
        raise NotEncoded("zlib-compressed bytes that are cut off or go on after their end")
    return content


def encode_indices(indices: npt.ArrayLike) -> str:
    """Encode indices, array-like of shape (n,), as little-endian int64."""
    return encode_bytes(np.ascontiguousarray(indices, dtype="<i8").tobytes())


def decode_indices(text: str, *, max_bytes: int) -> Indices:
    """Decode row numbers into an array of shape (n,), dtype int64.

    Raises
    ------
    NotEncoded
        If it is not the encoding of whole int64 numbers, or one of them is negative.
    DecompressedTooLarge
        As ``decode_bytes``.
    """
    content = decode_bytes(text, max_bytes=max_bytes)
    if len(content) % 8:
        raise NotEncoded(f"{len(content)} bytes are not a whole number of little-endian int64 indices")
    indices = np.frombuffer(content, dtype="<i8")
    if indices.size and indices.min() < 0:
        raise NotEncoded(f"the index {indices.min()} is negative")
    return indices


def encode_predictions(predictions: Predictions) -> str:
    """Encode predictions as C-order little-endian float64."""
    return encode_bytes(np.ascontiguousarray(predictions, dtype="<f8").tobytes())


def decode_predictions(text: str, shape: tuple[int, ...]) -> Predictions:
    """Decode predictions into an array of ``shape``, dtype float64.

    Raises
    ------
    NotEncoded
        If ``text`` does not hold exactly that many float64 numbers.
    """
    n_bytes = 8 * math.prod(shape)
    try:
        content = decode_bytes(text, max_bytes=n_bytes)
    except DecompressedTooLarge:
        raise NotEncoded(f"more numbers than the shape {shape} holds") from None
    if len(content) != n_bytes:
        raise NotEncoded(f"{len(content)} bytes are not float64 numbers of the shape {shape}")
    try:
        return np.frombuffer(content, dtype="<f8").reshape(shape)
    except ValueError as error:
        raise NotEncoded(f"{shape} is not the shape of an array: {error}") from None
