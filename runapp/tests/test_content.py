"""Hashes of folders of files."""

import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from runapp.content import NotPlainFiles, content_hash, folder_hash, read_folder

names = st.text("abc._-é ", min_size=1, max_size=5).filter(lambda name: name not in (".", ".."))
files = st.dictionaries(names, st.binary(max_size=20), max_size=4)


@given(files, files)
def test_the_hashes_are_equal_where_the_files_are(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert (content_hash(one) == content_hash(other)) == (one == other)


def test_moving_bytes_between_a_name_and_its_content_changes_the_hash() -> None:
    assert content_hash({"ab": b"c"}) != content_hash({"a": b"bc"})
    assert content_hash({"a": b"", "b": b""}) != content_hash({"a": b"b"})


def test_a_folder_has_the_hash_of_its_files(tmp_path: Path) -> None:
    content = {"classifier.py": b"x = 1\n", "weights": bytes(range(256))}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    assert read_folder(tmp_path) == content
    assert folder_hash(tmp_path) == content_hash(content)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0", "a\n", "\udcff"]
)
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(NotPlainFiles):
        content_hash({name: b""})


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_anything_but_a_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    odd = tmp_path / "odd"
    if kind == "link":
        odd.symlink_to("/etc/passwd")
    elif kind == "folder":
        odd.mkdir()
    else:
        os.mkfifo(odd)
    with pytest.raises(NotPlainFiles, match="odd"):
        folder_hash(tmp_path)


def test_a_folder_that_is_gone_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        folder_hash(tmp_path / "none")
