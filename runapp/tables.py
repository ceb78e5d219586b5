"""Standard data files: CSV tables with a target column. No Django; master and runners read them alike."""

import io

import pandas as pd

from runapp.errors import DatarunError


class TableError(DatarunError):
    """The CSV file cannot be learned from.

    ``field`` is the part of an upload that is wrong: ``files`` or ``target_column``.
    """

    code = "invalid_table"

    def __init__(self, message: str, *, field: str = "files") -> None:
        super().__init__(message)
        self.field = field


def check_table(content: bytes, *, target_column: str, classify: bool) -> None:
    """Check that a CSV file has rows and a target that can be learned. Only the target column is parsed.

    Parameters
    ----------
    classify
        Whether the target holds classes, of which there must be two or more.

    Raises
    ------
    TableError
        Saying what is wrong.
    """
    try:
        header = pd.read_csv(io.BytesIO(content), nrows=0)
        if target_column not in header.columns:
            columns = ", ".join(map(str, header.columns[:20]))
            raise TableError(
                f"there is no column {target_column!r}; the columns are {columns}", field="target_column"
            )
        target = pd.read_csv(io.BytesIO(content), usecols=[target_column])[target_column]
    except UnicodeDecodeError as error:
        raise TableError(f"the file is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except pd.errors.EmptyDataError:
        raise TableError("the file is empty; its first row must name the columns") from None
    except pd.errors.ParserError as error:
        raise TableError(f"the file is not a CSV table: {error}") from None
    if len(header.columns) < 2:
        raise TableError("the file has no column beside the target")
    if len(target) < 2:
        raise TableError(f"the file has {len(target)} rows of data; it needs two or more")
    if target.isna().any():
        raise TableError(
            f"{int(target.isna().sum())} rows have no value of the target", field="target_column"
        )
    if classify and target.nunique() < 2:
        raise TableError("all rows are of one class; a classifier needs two or more", field="target_column")
