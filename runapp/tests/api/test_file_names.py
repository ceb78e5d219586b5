"""Names of uploaded files are plain, relative names; whatever else is refused before anything is written."""

import pytest

from runapp.environment import Environment
from runapp.models import RawData, Submission
from runapp.tests import factories
from runapp.tests.api.conftest import Caller

HOSTILE = [
    "", ".", "..", "...", "../classifier.py", "../../etc/passwd", "a/b.py", "/etc/passwd", "//host/share",
    "a/../b.py", "./a.py", "a\\b.py", "..\\a.py", "C:\\a.py", "C:a.py", "c:", "\\\\host\\share\\a",
    "\\\\?\\C:\\a", "a.py:stream", "a\0.py", "\0", "a\nb.py", "a\rb.py", "a\tb.py", "a\x1b[2Jb.py",
    "a\x7f.py", "\x85.py", ".hidden.py", ".bashrc", "-rf", "--help", " a.py", "a.py ", "a.py.", "a*.py",
    "a?.py", 'a".py', "a<b>.py", "a|b.py", "\u202egnp.py", "a\u200b.py", "a\u2028b.py", "\ufeffa.py",
    "a\u00a0b.py", "\ud800.py", "a\udfff.py", "\U000e0001.py", "x" * 151, "x" * 5000, "界" * 51,
]  # fmt: skip
PLAIN = [
    "notes.txt", "données.csv", "数据.csv", "a b.csv", "a-b_c.d.e", "CON", "x" * 150, "$(reboot).csv",
    "a;b&c'.csv", "`id`.csv", "%2e%2e%2f.csv", "~root", "emoji 🌍.csv",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_in_a_data_set_is_refused(api: Caller, name: str) -> None:
    files = factories.encoded_files({name: b"x", "specific.py": factories.SPECIFIC})

    with factories.nothing_written():
        answer = api.post_data(files=files)

    assert answer.status_code == 400
    assert "name" in answer.json()["files"][0]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_in_a_submission_is_refused(api: Caller, name: str) -> None:
    raw_data = factories.make_raw_data()
    files = factories.encoded_files({name: b"x", "classifier.py": factories.CLASSIFIER})

    with factories.nothing_written():
        answer = api.post_fold(raw_data=raw_data.pk, files=files)

    assert answer.status_code == 400
    assert "name" in answer.json()["files"][0]


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_a_hostile_name_of_a_single_file_is_refused_though_it_is_not_kept(api: Caller, name: str) -> None:
    with factories.nothing_written():
        answer = api.post_data(files=factories.encoded_files({name: factories.CSV}))

    assert answer.status_code == 400


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_is_kept_to_the_letter(api: Caller, environment: Environment, name: str) -> None:
    raw_data = factories.make_raw_data()
    files = {name: b"x", "specific.py": factories.SPECIFIC}
    data = api.post_data(name="stars", files=factories.encoded_files(files), workflow_elements="")
    files = {name: b"x", "classifier.py": factories.CLASSIFIER}
    fold = api.post_fold(raw_data=raw_data.pk, files=factories.encoded_files(files))

    assert (data.status_code, fold.status_code) == (201, 201)
    stored = environment.dir_data / RawData.objects.get(name="stars").source_folder
    assert (stored / name).read_bytes() == b"x"
    submission = environment.dir_submission / str(Submission.objects.get().files_path)
    assert (submission / name).read_bytes() == b"x"
