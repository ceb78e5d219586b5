"""``base64(zlib(bytes))``: what goes in comes out, and nothing else is taken."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from hypothesis.extra import numpy as arrays

from runapp.encodings import (
    DecompressedTooLarge,
    NotEncoded,
    decode_bytes,
    decode_indices,
    decode_predictions,
    encode_bytes,
    encode_indices,
    encode_predictions,
)

shapes = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)


@given(st.binary(max_size=5000))
def test_bytes_come_back(content: bytes) -> None:
    assert decode_bytes(encode_bytes(content), max_bytes=len(content)) == content


@given(st.binary(min_size=1, max_size=5000), st.data())
def test_no_more_than_the_limit_is_accepted(content: bytes, data: st.DataObject) -> None:
    limit = data.draw(st.integers(0, len(content) - 1))

    with pytest.raises(DecompressedTooLarge, match=f"{limit} bytes"):
        decode_bytes(encode_bytes(content), max_bytes=limit)


@given(st.text() | st.binary().map(lambda b: base64.b64encode(b).decode()), st.integers(0, 1000))
def test_any_text_is_decoded_or_refused(text: str, limit: int) -> None:
    try:
        content = decode_bytes(text, max_bytes=limit)
    except (NotEncoded, DecompressedTooLarge):
        return
    assert len(content) <= limit


@given(st.text(st.characters(codec=None)))
def test_any_text_is_decoded_to_indices_or_refused(text: str) -> None:
    try:
        indices = decode_indices(text, max_bytes=1000)
    except (NotEncoded, DecompressedTooLarge):
        return
    assert indices.dtype == np.int64


@given(st.binary(max_size=200))
def test_any_bytes_are_indices_or_refused(content: bytes) -> None:
    try:
        indices = decode_indices(encode_bytes(content), max_bytes=200)
    except NotEncoded:
        assert len(content) % 8 or any(content[7::8])
        return
    assert indices.tobytes() == content
    assert (indices >= 0).all()


@given(st.lists(st.integers(0, 2**63 - 1), max_size=50))
def test_indices_come_back(rows: list[int]) -> None:
    decoded = decode_indices(encode_indices(np.array(rows, dtype=np.int64)), max_bytes=8 * len(rows))

    assert decoded.tolist() == rows
    assert decoded.ndim == 1


@given(st.binary(max_size=300), st.data())
def test_what_is_cut_off_is_refused(content: bytes, data: st.DataObject) -> None:
    packed = zlib.compress(content)
    part = packed[: data.draw(st.integers(0, len(packed) - 1))]

    with pytest.raises(NotEncoded):
        decode_bytes(base64.b64encode(part).decode(), max_bytes=300)


@given(arrays.arrays(np.float64, shapes))
def test_predictions_come_back_bit_for_bit(predictions: np.ndarray) -> None:
    decoded = decode_predictions(encode_predictions(predictions), predictions.shape)

    assert decoded.shape == predictions.shape
    assert decoded.tobytes() == predictions.tobytes()


def test_predictions_are_read_as_the_contract_says() -> None:
    predictions = np.asfortranarray(np.arange(6.0).reshape(3, 2))

    read = np.frombuffer(zlib.decompress(base64.b64decode(encode_predictions(predictions))), dtype="<f8")

    assert read.reshape(3, -1).tolist() == [[0, 1], [2, 3], [4, 5]]


@given(arrays.arrays(np.float64, shapes), shapes)
def test_predictions_of_another_size_are_refused(predictions: np.ndarray, shape: tuple[int, ...]) -> None:
    assume(np.prod(shape) != predictions.size)

    with pytest.raises(NotEncoded):
        decode_predictions(encode_predictions(predictions), shape)


@pytest.mark.parametrize("shape", [(3, 2**61, 8, 0), (1,) * 100])
def test_a_shape_that_no_array_has_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(NotEncoded):
        decode_predictions(encode_bytes(b"\0" * (0 if 0 in shape else 8)), shape)


def test_base64_in_lines_as_old_clients_wrote_it_is_read() -> None:
    text = base64.encodebytes(zlib.compress(bytes(range(256)))).decode()
    assert "\n" in text.strip()

    assert decode_bytes(text, max_bytes=256) == bytes(range(256))
