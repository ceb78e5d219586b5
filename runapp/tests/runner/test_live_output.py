"""What a fold prints, seen while it runs."""

import itertools
import time
from pathlib import Path

import pytest

from runapp.contract import State
from runapp.exchange import MAX_OUTPUT_BYTES, Exchange
from runapp.messages import FoldMark
from runapp.runner import supervision
from runapp.runner.holder import this_process
from runapp.runner.lease import Lease
from runapp.runner.process import FreshProcess
from runapp.tests.runner.conftest import CLASSIFIER, LIMITS, DataSet, Submit, fold_job
from runapp.tests.runner.test_process import fit

TASK_ID = "01234567-89ab-cdef-0123-456789abcdef"

PATIENT = """
import os, sys, time
print("epoch 1", flush=True)
print("x" * 100_000)
print("epoch 2", os.path.abspath(__file__))
time.sleep(60)
"""


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    exchange = Exchange(tmp_path / ".datarun")
    exchange.make()
    return exchange


@pytest.fixture
def lease(exchange: Exchange) -> Lease[FoldMark]:
    mark = FoldMark(
        fold_id=1, task_id=TASK_ID, attempt=1, runner="runner@host", holder=this_process(),
        state=State.TODO, started_at=1.7e9,
    )  # fmt: skip
    lease = Lease(exchange, mark, lease_seconds=60.0)
    assert lease.claim()
    return lease


def test_the_end_of_what_a_fold_prints_is_told_while_it_runs(iris: DataSet, submit: Submit) -> None:
    seen: list[str] = []
    FreshProcess().run_fold(
        fold_job(iris, submit({"classifier.py": fit(PATIENT)})), LIMITS,
        on_stage=lambda *_: None, is_cancelled=lambda: "epoch 2" in "".join(seen), on_output=seen.append,
    )  # fmt: skip

    assert "bytes before this are not kept" in seen[-1]
    for text in seen:
        assert len(text) < supervision.LIVE_OUTPUT_BYTES + 200
        assert str(iris.folder) not in text


def test_a_fold_that_prints_nothing_tells_nothing(iris: DataSet, submit: Submit) -> None:
    seen: list[str] = []
    waiting = fit(f"import time; time.sleep({2 * supervision._TELLING_SECONDS})")

    FreshProcess().run_fold(
        fold_job(iris, submit({"classifier.py": waiting})), LIMITS,
        on_stage=lambda *_: None, is_cancelled=lambda: False, on_output=seen.append,
    )  # fmt: skip

    assert seen == []


def test_a_chatty_fold_is_heard_about_once_a_second(iris: DataSet, submit: Submit) -> None:
    told_at: list[float] = []
    chatty = fit("import time\nwhile True:\n    print('x' * 100)\n    time.sleep(0.001)")

    FreshProcess().run_fold(
        fold_job(iris, submit({"classifier.py": chatty})), LIMITS,
        on_stage=lambda *_: None, is_cancelled=lambda: len(told_at) >= 3,
        on_output=lambda _: told_at.append(time.monotonic()),
    )  # fmt: skip

    # The listener's own clock jitters.
    assert all(b - a > 0.8 * supervision._TELLING_SECONDS for a, b in itertools.pairwise(told_at))


def test_what_a_task_prints_lies_beside_its_mark_and_goes_with_it(
    exchange: Exchange, lease: Lease[FoldMark]
) -> None:
    lease.show_output("epoch 1")
    assert exchange.read_output(TASK_ID) == "epoch 1"
    lease.show_output("epoch 1\nepoch 2")
    assert exchange.read_output(TASK_ID) == "epoch 1\nepoch 2"

    lease.release()

    assert exchange.read_output(TASK_ID) == ""
    assert list((exchange.folder / "outputs").iterdir()) == []


def test_a_task_that_prints_nothing_leaves_no_trace(exchange: Exchange, lease: Lease[FoldMark]) -> None:
    lease.release()

    assert not (exchange.folder / "outputs").exists()


def test_a_disk_that_is_gone_disturbs_no_task(exchange: Exchange, lease: Lease[FoldMark]) -> None:
    exchange.folder.rename(exchange.folder.with_name("elsewhere"))

    lease.show_output("epoch 1")

    assert exchange.read_output(TASK_ID) == ""


@pytest.mark.parametrize("content", [b"\xff\xfe broken", b"x" * 10 * MAX_OUTPUT_BYTES])
def test_whatever_lies_there_is_read_as_bounded_text(exchange: Exchange, content: bytes) -> None:
    exchange.write_output(TASK_ID, "")
    (exchange.folder / "outputs" / TASK_ID).write_bytes(content)

    assert len(exchange.read_output(TASK_ID)) <= MAX_OUTPUT_BYTES


def test_a_link_in_its_place_is_not_followed(exchange: Exchange, tmp_path: Path) -> None:
    exchange.write_output(TASK_ID, "")
    (tmp_path / "secret").write_text("secret")
    (exchange.folder / "outputs" / TASK_ID).unlink()
    (exchange.folder / "outputs" / TASK_ID).symlink_to(tmp_path / "secret")

    assert exchange.read_output(TASK_ID) == ""


def test_a_plain_fold_is_the_same_whether_anybody_listens(iris: DataSet, submit: Submit) -> None:
    job = fold_job(iris, submit({"classifier.py": CLASSIFIER}))
    quiet = FreshProcess().run_fold(job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)
    heard = FreshProcess().run_fold(
        job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False, on_output=lambda _: None
    )

    assert (quiet.outcome, quiet.log_messages) == (heard.outcome, heard.log_messages)
