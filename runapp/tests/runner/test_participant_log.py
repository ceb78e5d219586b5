"""The text that a participant gets to read."""

import sysconfig
from pathlib import Path

import pytest

from runapp.runner.output_tail import OutputTail
from runapp.runner.participant_log import compose_log


@pytest.mark.parametrize(
    ("reason", "printed", "log"),
    [
        ("", "", ""),
        ("", "42\n", "42"),
        ("Killed.", " \n", "Killed."),
        ("Killed.\n", "42\n", "Killed.\n\nThe end of what it printed:\n42"),
    ],
)
def test_a_log_is_the_reason_and_then_what_was_printed(reason: str, printed: str, log: str) -> None:
    assert compose_log(reason, printed, []) == log


def test_paths_are_shown_relative_to_the_folders_of_the_run() -> None:
    folders = [Path("/srv/run"), Path("/srv/run/work")]
    library = sysconfig.get_paths()["purelib"]
    text = f"/srv/run/work/a.txt /srv/run/b.txt /srv/run/work /srv/runner {library}/numpy/core.py"
    assert compose_log(text, "", folders) == "a.txt b.txt . /srv/runner numpy/core.py"


def test_the_tail_keeps_the_end_and_says_what_is_missing() -> None:
    tail = OutputTail(kept_bytes=4, max_bytes=10)
    tail.feed(b"ab")
    assert (tail.text(), tail.overflowed) == ("ab", False)
    tail.feed(b"cdefgh")
    assert tail.text() == "[4 bytes before this are not kept]\nefgh"
    tail.feed(b"\xff" * 3)
    assert tail.overflowed
    assert "\N{REPLACEMENT CHARACTER}" in tail.text()
