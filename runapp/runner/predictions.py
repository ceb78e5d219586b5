"""What a fold may hand back as predictions."""

import numpy as np
import numpy.typing as npt

from runapp.contract import MAX_PREDICTIONS
from runapp.runner.failure import BadOutput


def checked_predictions(predicted: object, n_rows: int, function: str) -> npt.NDArray[np.float64]:
    """``predicted`` as a finite C-order array of shape (n_rows, ...), dtype float64.

    Raises
    ------
    BadOutput
        Naming ``function``, if it is anything else than that many rows of finite numbers.
    """
    try:
        array = np.asarray(predicted)
    except ValueError:
        raise BadOutput(f"{function} must return an array; its rows have different lengths") from None
    if array.dtype.kind not in "fiub":
        raise BadOutput(f"{function} must return an array of numbers, not {_described(predicted, array)}")
    if array.ndim == 0:
        raise BadOutput(f"{function} must return {n_rows} rows, not the single number {array}")
    if array.shape[0] != n_rows:
        raise BadOutput(
            f"{function} must return {n_rows} rows, one for each row it was given, not {array.shape[0]}"
        )
    if not 0 < array.size <= MAX_PREDICTIONS:
        raise BadOutput(
            f"{function} must return at least one and at most {MAX_PREDICTIONS} numbers; "
            f"the shape {array.shape} holds {array.size}"
        )
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(array, dtype="<f8")
    finite = np.isfinite(numbers)
    if not finite.all():
        row = int(np.argwhere(~finite)[0, 0])
        raise BadOutput(
            f"{function} must return finite numbers; {int((~finite).sum())} of {finite.size} are NaN or "
            f"infinite, the first in row {row}"
        )
    return numbers


def _described(predicted: object, array: npt.NDArray[np.generic]) -> str:
    if predicted is None:
        return "None (is there a return statement?)"
    if array.dtype.kind in "OV":
        return f"a {type(predicted).__name__} of objects"
    return f"a {type(predicted).__name__} of dtype {array.dtype}"
