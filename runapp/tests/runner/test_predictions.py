"""What counts as predictions."""

import numpy as np
import pytest

from runapp.runner import predictions
from runapp.runner.failure import BadOutput
from runapp.runner.predictions import checked_predictions


@pytest.mark.parametrize(
    "good",
    [
        [1, 2, 3],
        [[0.5, 0.5]] * 3,
        np.ones((3, 2, 2), dtype=np.float32),
        np.array([True, False, True]),
        np.asfortranarray(np.arange(6.0).reshape(3, 2)),
    ],
)
def test_finite_numbers_become_float64_of_the_same_shape(good: object) -> None:
    checked = checked_predictions(good, 3, "predict")
    assert checked.dtype == np.dtype("<f8")
    assert checked.flags.c_contiguous
    assert np.array_equal(checked, np.asarray(good))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (None, "None"),
        ("abc", "dtype <U3"),
        ([[1], [1, 2], [3]], "different lengths"),
        (["1", "2", "3"], "dtype <U1"),
        ([1j, 2, 3], "complex"),
        (object(), "of objects"),
        ({"a": 1}, "dict of objects"),
        (7.0, "single number"),
        ([1.0, 2.0], "3 rows, one for each row it was given, not 2"),
        (np.ones((3, 0)), "at least one"),
        ([1.0, float("nan"), 3.0], "1 of 3 are NaN or infinite, the first in row 1"),
        ([[1.0, 2.0], [1.0, 2.0], [float("inf"), -float("inf")]], "2 of 6"),
    ],
)
def test_anything_else_is_refused_in_words(bad: object, words: str) -> None:
    with pytest.raises(BadOutput, match=words):
        checked_predictions(bad, 3, "predict")


def test_more_numbers_than_an_outcome_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "MAX_PREDICTIONS", 5)
    with pytest.raises(BadOutput, match="at most 5 numbers"):
        checked_predictions(np.ones((3, 2)), 3, "predict")
