"""Standard data files: CSV tables with a target column. No Django."""

import csv
import io
from collections import Counter
from collections.abc import Iterator

from runapp.errors import DatarunError

#: Wider tables are refused: pandas takes minutes and gigabytes for a row of millions of fields.
MAX_COLUMNS = 100_000

#: What pandas.read_csv takes for a missing value unless told otherwise.
_MISSING = frozenset({
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip


class TableError(DatarunError):
    """The CSV file cannot be learned from.

    ``field`` is the part of an upload that is wrong: ``files`` or ``target_column``.
    """

    code = "invalid_table"

    def __init__(self, message: str, *, field: str = "files") -> None:
        super().__init__(message)
        self.field = field


def check_table(content: bytes, *, target_column: str, classify: bool) -> None:
    """Check that a CSV file has rows and a target that can be learned.

    Row by row: pandas would pad short rows of a wide table to more memory than a machine has.

    Parameters
    ----------
    classify
        Whether the target holds classes, of which there must be two or more.

    Raises
    ------
    TableError
        Saying what is wrong.
    """
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline=""), strict=True)
    rows = (row for row in reader if len(row) > 1 or (row and row[0].strip()))
    try:
        columns = next(rows, [])
        _check_columns(columns, target_column)
        _check_target(_labels(rows, columns, target_column), classify=classify)
    except UnicodeDecodeError as error:
        raise TableError(
            f"the file is not UTF-8 text: {error.reason}, after line {reader.line_num}"
        ) from None
    except csv.Error as error:
        raise TableError(f"the file is not a CSV table: {error}, in line {reader.line_num}") from None


def _check_columns(columns: list[str], target_column: str) -> None:
    if not columns:
        raise TableError("the file is empty; its first row must name the columns")
    if len(columns) > MAX_COLUMNS:
        raise TableError(f"the first row has more than {MAX_COLUMNS} fields")
    if target_column not in columns:
        known = ", ".join(column[:60] for column in columns[:20])
        raise TableError(
            f"there is no column {target_column!r}; the columns are {known}", field="target_column"
        )
    if twice := next((name for name, n in Counter(columns).items() if name and n > 1), None):
        raise TableError(f"the column {twice[:60]!r} is there twice")
    if len(columns) < 2:
        raise TableError("the file has no column beside the target")


def _labels(rows: Iterator[list[str]], columns: list[str], target_column: str) -> Iterator[str]:
    """The target of each row."""
    target = columns.index(target_column)
    for number, row in enumerate(rows, start=1):
        if len(row) > len(columns):
            raise TableError(f"row {number} of the data has {len(row)} fields for {len(columns)} columns")
        yield row[target] if target < len(row) else ""


def _check_target(labels: Iterator[str], *, classify: bool) -> None:
    n_rows = n_missing = 0
    first, differ = None, False
    for label in labels:
        n_rows += 1
        n_missing += label in _MISSING
        first = label if first is None else first
        differ = differ or label != first
    if n_rows < 2:
        raise TableError(f"the file has {n_rows} rows of data; it needs two or more")
    if n_missing:
        raise TableError(f"{n_missing} rows have no value of the target", field="target_column")
    if classify and not differ:
        raise TableError("all rows are of one class; a classifier needs two or more", field="target_column")
