"""Names, logs and files of strangers, and the policy that every answer carries."""

import re
from typing import Any

import pytest
from django.test import Client

from runapp import dispatch
from runapp.contract import SplitState, State
from runapp.dashboard.untrusted_text import harmless, reason
from runapp.models import SubmissionFold
from runapp.services.submissions import submission_files_write
from runapp.tests import factories
from runapp.tests.dashboard.conftest import Reader

pytestmark = pytest.mark.django_db

TAG = "<script>alert('x')</script>"
HOSTILE = (
    f'{TAG}</textarea></pre></title>\x1b[31mred\x1b[0m\x1b]0;title\x07 \u202eflipped\u202c \x00\x08\u200e"'
)
#: What must never reach a browser as it is.
RAW = (TAG, "</textarea>", "\x1b", "\u202e", "\u202c", "\u200e", "\x08", "\0")


@pytest.fixture
def hostile_fold() -> SubmissionFold:
    """A failed fold of which every text that a stranger can choose is hostile."""
    stored = HOSTILE.replace("\0", "")  # PostgreSQL holds none
    raw_data = factories.make_raw_data(name=stored[:100], workflow_elements=stored, target_column=stored)
    factories.make_raw_data(SplitState.ERROR, name=f"2{stored}"[:100], split_log=stored)
    submission = factories.make_submission(raw_data, owner=factories.make_user(name=stored[:150]))
    submission_files_write(
        submission,
        {"classifier.py": stored.encode(), "x.bin": HOSTILE.encode(), "a\u202eb<b>.txt": stored.encode()},
    )
    factories.make_fold(submission, state=State.TRAINED, runner=stored, started_at="2026-01-01T00:00Z")
    dispatch.exchange().write_runner(
        factories.runner_mark(
            refuses=HOSTILE, isolation=HOSTILE, isolation_reason=HOSTILE, versions={HOSTILE: HOSTILE}
        )
    )
    return factories.make_fold(
        submission, state=State.ERROR, runner=stored, isolation=stored[:40], log_messages=stored,
        owner=submission.owner,
    )  # fmt: skip


def test_what_strangers_wrote_comes_out_escaped(hostile_fold: SubmissionFold, staff: Reader) -> None:
    submission = hostile_fold.databoard_s_id
    for path in (
        "/",
        "/runners/",
        "/submissions/",
        f"/submissions/{submission}/",
        f"/folds/{hostile_fold.pk}/",
    ):
        page = staff.text(path)
        for raw in RAW:
            assert raw not in page.replace("</title>", "", 1), f"{raw!r} in {path}"
        assert "&lt;script&gt;" in page
        assert "<U+202E>" in page.replace("&lt;", "<").replace("&gt;", ">")


def test_a_query_comes_back_escaped(staff: Reader) -> None:
    page = staff.text("/submissions/", id=f'"{TAG}', owner=f'"{TAG}', folds=TAG)

    assert TAG not in page
    assert 'value="&quot;&lt;script' in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("é ü 漢字 العربية", "é ü 漢字 العربية"),
        ("a\x1b[1;31mb\x1b[0mc", "abc"),
        ("50%\r100%\r\ndone", "50%\n100%\ndone"),
        ("a\x07b\x1bc", "a␇b␛c"),
        ("\u202eabc\u2066", "<U+202E>abc<U+2066>"),
        ("\x9b31m", "<U+009B>31m"),
        ("\ufeffx", "<U+FEFF>x"),
        ("\ud800", "<U+D800>"),
        ("👩\u200d🔬", "👩\u200d🔬"),
    ],
)
def test_characters_that_control_others_are_seen(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        ("ValueError: x\n\nThe end of what it printed:\nnoise", "ValueError: x"),
        ("Start 1 was lost: gone.\nStart 2 was lost: gone again.\n", "Start 2 was lost: gone again."),
        ("The end of what it printed:\nonly noise", "only noise"),
    ],
)
def test_the_reason_is_the_line_that_says_most(log: str, line: str) -> None:
    assert reason(log) == line


PATHS = ["/", "/runners/", "/submissions/", "/docs/", "/docs/?script=", "/admin/",
         "/admin/runapp/submissionfold/", "/nothing", "/runapp/", "/static/runapp/datarun.css",
         "/healthz"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_policy(staff: Reader, path: str) -> None:
    staff.user.is_superuser = True
    staff.user.save()
    policy = staff.get(path).headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["/", "/submissions/", "/docs/", "/admin/", "/api-auth/login/"])
def test_a_page_has_nothing_inline_and_nothing_from_elsewhere(staff: Reader, path: str) -> None:
    staff.user.is_superuser = True
    staff.user.save()
    reader: Any = Client() if "login" in path else staff.client

    page = reader.get(path).content.decode()

    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>(?!\s*</script>)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", page)
