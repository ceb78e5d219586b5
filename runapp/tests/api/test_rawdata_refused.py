"""``rawdata/``: what is not a data set is refused with the reason, and nothing is kept of it."""

import time
import tracemalloc
import zlib
from base64 import b64encode

import pytest
from pytest_django import Settings

from runapp.contract import DATA_SET_LIMITS
from runapp.tests import factories
from runapp.tests.api.conftest import Caller

LATIN_1 = "größe,species\n1,a\n2,b\n".encode("latin-1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("%%% not base64 %%%", "not valid base64", id="not base64"),
        pytest.param("Zäh", "not valid base64", id="not ASCII"),
        pytest.param(b64encode(b"plain").decode(), "not of zlib", id="not zlib"),
        pytest.param(factories.encoded(factories.CSV)[:-8], "cut off", id="cut off"),
        pytest.param("", "cut off", id="empty"),
        pytest.param(b64encode(zlib.compress(b"a,b") + b"x").decode(), "go on after", id="goes on"),
        pytest.param(17, "not valid base64", id="a number"),
    ],
)
def test_content_that_is_not_encoded_is_refused(api: Caller, content: object, words: str) -> None:
    with factories.nothing_written():
        answer = api.post_data(files={"iris.csv": content})

    assert answer.status_code == 400
    assert "iris.csv" in answer.json()["files"][0]
    assert words in answer.json()["files"][0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "at least one file"),
        ([factories.encoded(factories.CSV)], "Expected a dictionary"),
        ("iris.csv", "Expected a dictionary"),
        (None, "required"),
        ({"iris.csv": None}, "null"),
        ({"iris.csv": {"content": ""}}, "Not a valid string"),
        ({"\ud800": None}, "null"),  # what an answer quotes must be text that can be sent
        ({f"{i}.csv": "" for i in range(1001)}, "more than the 1000"),
    ],
)
def test_files_that_are_not_contents_by_name_are_refused(api: Caller, files: object, words: str) -> None:
    with factories.nothing_written():
        answer = api.post_data(files=files)

    assert answer.status_code == 400
    assert words in str(answer.json()["files"])


@pytest.mark.parametrize(
    ("table", "field", "words"),
    [
        pytest.param(b"a,b\n1,2\n3,4\n", "target_column", "no column 'species'", id="no target column"),
        pytest.param(b"", "files", "empty", id="an empty file"),
        pytest.param(b"\n\n", "files", "empty", id="blank lines"),
        pytest.param(b"a,species\n", "files", "0 rows", id="no rows"),
        pytest.param(b"a,species\n1,x\n", "files", "1 rows", id="one row"),
        pytest.param(b"a,species\n1,x\n2,x\n", "target_column", "one class", id="one class"),
        pytest.param(b"a,species\n1,x\n2,\n", "target_column", "no value", id="a label missing"),
        pytest.param(b"species\nx\ny\n", "files", "no column beside", id="only the target"),
        pytest.param(LATIN_1, "files", "not UTF-8", id="a header in Latin-1"),
        pytest.param(b"a,species\n\xe9,x\n2,y\n", "files", "not UTF-8", id="a feature in Latin-1"),
        pytest.param(b"a,species\n1,\xe9\n2,y\n", "files", "not UTF-8", id="a label in Latin-1"),
        pytest.param("a,species\n1,x\n".encode("utf-16"), "files", "not UTF-8", id="UTF-16"),
        pytest.param(b"a,species,species\n1,x,x\n2,y,y\n", "files", "twice", id="two targets"),
        pytest.param(b"a,a,species\n1,1,x\n2,2,y\n", "files", "twice", id="two columns of one name"),
        pytest.param(
            b"a,species\n1,2,x\n1,2,y\n", "files", "row 1 of the data has 3 fields", id="a nameless column"
        ),
        pytest.param(b"a,species\n1,x\n1,2,3\n", "files", "row 2 of the data has 3", id="a ragged row"),
        pytest.param(b'a,species\n"1,x\n2,y\n', "files", "not a CSV table", id="an open quote"),
        pytest.param(bytes(range(256)) * 4, "files", "", id="binary"),
        pytest.param(b"PK\x03\x04" + b"\0" * 100, "files", "", id="an archive"),
    ],
)
def test_a_table_that_nothing_can_learn_from_is_refused(
    api: Caller, table: bytes, field: str, words: str
) -> None:
    with factories.nothing_written():
        answer = api.post_data(files=factories.encoded_files({"iris.csv": table}))

    assert answer.status_code == 400
    if words:
        assert words in answer.json()[field][0]


def test_a_target_of_one_value_is_fine_for_a_regressor(api: Caller) -> None:
    table = factories.encoded_files({"iris.csv": b"a,species\n1,7\n2,7\n"})

    assert api.post_data(files=table, workflow_elements="regressor").status_code == 201


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ("classifier,transformer", "'transformer' is not a workflow element"),
        ("Classifier", "'Classifier' is not a workflow element"),
        ("classifier,regressor", "one of classifier and regressor"),
        ("feature_extractor", "one of classifier and regressor"),
        ("", "one of classifier and regressor"),
        (",", "one of classifier and regressor"),
        ("regressor,calibrator", "a calibrator needs a classifier"),
        ("classifier,classifier", "twice"),
        ("../classifier", "not a workflow element"),
        ("classifier\0", "Null characters"),
        (["classifier"], "Not a valid string"),
        ("classifier," * 100, "no more than 200"),
    ],
)
def test_elements_that_make_no_workflow_are_refused(api: Caller, elements: object, words: str) -> None:
    with factories.nothing_written():
        answer = api.post_data(workflow_elements=elements)

    assert answer.status_code == 400
    assert words in answer.json()["workflow_elements"][0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.csv": b"x", "b.csv": b"y"}, "one and only one must be a .py"),
        ({"a.py": b"", "b.py": b"", "c.csv": b"x"}, "not 2"),
        ({"specific.py": factories.SPECIFIC, "other.py": b"", "c.csv": b""}, "not 2"),
        ({"specific.py": factories.SPECIFIC}, "without a data file"),
        ({"a.py": b"def prepare_data(:", "c.csv": b""}, "not valid Python"),
        ({"a.py": b"\0", "c.csv": b""}, "not valid Python"),
        ({"a.py": b"\xff", "c.csv": b""}, "not valid Python"),
        ({"a.py": b"# coding: zlib\n", "c.csv": b""}, "not valid Python"),
        ({"a.py": b"(" * 100_000, "c.csv": b""}, "not valid Python"),
        ({"a.py": b"-" * 200_000, "c.csv": b""}, "not valid Python"),
        ({"a.py": b"x = [" + b"1," * 200_000 + b"]", "c.csv": b""}, "larger than"),
    ],
)
def test_several_files_without_one_good_script_are_refused(
    api: Caller, files: dict[str, bytes], words: str
) -> None:
    with factories.nothing_written():
        answer = api.post_data(files=factories.encoded_files(files))

    assert answer.status_code == 400
    assert words in answer.json()["files"][0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"), ({"name": ""}, "name"), ({"name": "x" * 101}, "name"),
        ({"name": "a/b"}, "name"), ({"name": ".."}, "name"), ({"name": "a\0"}, "name"),
        ({"name": "\ud800"}, "name"), ({"name": True}, "name"), ({"name": ["iris"]}, "name"),
        ({"name": "界" * 60}, "name"), ({"target_column": "x" * 201}, "target_column"),
        ({"target_column": ""}, "target_column"), ({"target_column": 7.5}, "target_column"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(api: Caller, change: dict[str, object], field: str) -> None:
    with factories.nothing_written():
        answer = api.post_data(**change)

    assert answer.status_code == 400
    assert list(answer.json()) == [field]


@pytest.mark.parametrize("n_files", [1, 4])
def test_a_bomb_costs_no_more_than_the_limit(api: Caller, settings: Settings, n_files: int) -> None:
    settings.MAX_DECOMPRESSED_BYTES = 4 * 2**20
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b"0" * 2**20) for _ in range(256 // n_files)) + packer.flush()
    files = {f"{i}.csv": b64encode(bomb).decode() for i in range(n_files)}
    api.get("rawdata/")  # whatever is loaded at the first request is not the bomb's cost

    tracemalloc.start()
    start = time.process_time()
    with factories.nothing_written():
        answer = api.post_data(files=files)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert str(settings.MAX_DECOMPRESSED_BYTES) in answer.json()["detail"]
    assert peak < 20 * 2**20
    assert seconds < 10


def test_files_that_are_too_large_only_together_are_refused(api: Caller, settings: Settings) -> None:
    settings.MAX_DECOMPRESSED_BYTES = 1000
    files = factories.encoded_files({"a.csv": b"x" * 600, "specific.py": b"#" * 600})

    with factories.nothing_written():
        assert api.post_data(files=files).status_code == 413


@pytest.mark.parametrize("start", [b"", b'"\n",', b"\n\n", b"a,species\n"])
def test_a_row_without_end_is_refused_before_it_is_taken_apart(api: Caller, start: bytes) -> None:
    begin = time.process_time()
    with factories.nothing_written():
        answer = api.post_data(files=factories.encoded_files({"iris.csv": start + b"," * 20_000_000}))

    assert answer.status_code == 400
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("name", DATA_SET_LIMITS)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "greater than or equal to"), (-5, "greater than or equal to"), (2**31, "less than or equal to"),
        (1.5, "valid integer"), (True, "valid integer"), ("much", "valid integer"), ([60], "valid integer"),
    ],
)  # fmt: skip
def test_limits_that_no_runner_could_keep_are_refused(
    api: Caller, name: str, value: object, words: str
) -> None:
    with factories.nothing_written():
        answer = api.post_data(**{name: value})

    assert answer.status_code == 400
    assert words in answer.json()[name][0]
