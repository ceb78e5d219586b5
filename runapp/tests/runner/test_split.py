"""The split of a standard data set."""

from pathlib import Path

import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from runapp.runner.failure import DataError
from runapp.runner.split import split_standard_data


def split(tmp_path: Path, content: bytes, elements: tuple[str, ...] = ("classifier",)) -> tuple[int, int]:
    file = tmp_path / "raw.csv"
    file.write_bytes(content)
    return split_standard_data(
        file, tmp_path, target_column="y", workflow_elements=elements, held_out_test=0.3, random_state=7
    )


def test_the_parts_are_those_of_scikit_learn_exactly(tmp_path: Path) -> None:
    rows = "".join(f"{1 / (i + 3)!r},{i},{'ab'[i % 2]}\n" for i in range(50))

    assert split(tmp_path, f"x,i,y\n{rows}".encode()) == (35, 15)

    train, test = train_test_split(pd.read_csv(tmp_path / "raw.csv"), test_size=0.3, random_state=7)
    for name, part in (("train.csv", train), ("test.csv", test)):
        written = pd.read_csv(tmp_path / name)
        pd.testing.assert_frame_equal(written, part.reset_index(drop=True), check_exact=True)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert split(tmp_path, "\ufeffy,x\n1,2\n2,3\n3,4\n".encode()) == (2, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"x,y\n", "no rows"),
        (b"x,z\n1,2\n", "no target column 'y'; its columns are: x, z"),
        (b"y\n1\n2\n", "no column beside the target"),
        (b"x,y\n1,a\n2,a\n3,a\n", "only one class, 'a'"),
        (b"x,y\n1,a\n2,\n3,b\n", "no value in 1 rows"),
        (b"x,x,y\n1,1,a\n2,2,b\n", "several columns of the same name: x"),
        ("x,y\n1,é\n2,b\n".encode("latin-1"), "not UTF-8 text: it has a byte 0xe9"),
        (b"x,y\n1,a\n1,2,3,4,5\n", "not a CSV file"),
        (b"x,y\n1,a,7\n2,b,8\n", "more fields than its header"),
        (b"x,y\n1,a\n", "only one class"),
        (b"\x00\x01\x02\xff", "not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_data_file_is_said_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        split(tmp_path, content)
    assert not (tmp_path / "train.csv").exists()


def test_one_row_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 rows cannot be split"):
        split(tmp_path, b"x,y\n1,2\n", ("regressor",))


def test_a_regressor_needs_a_numeric_target(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not numeric"):
        split(tmp_path, b"x,y\n1,a\n2,b\n3,c\n", ("regressor",))


def test_a_file_that_is_gone_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a CSV file"):
        split_standard_data(
            tmp_path / "none.csv",
            tmp_path,
            target_column="y",
            workflow_elements=(),
            held_out_test=0.5,
            random_state=None,
        )
