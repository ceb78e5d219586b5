"""A fold uses no more memory, disk and output than it is given."""

from pathlib import Path

import pytest

from runapp.contract import Outcome
from runapp.tests.attacks.sandbox import LIMITS, Sandbox, held, write_data

_MB = 1 << 20
ALLOWED_KB = 300 * 1024


@pytest.mark.parametrize(
    "body",
    [
        # Each stops by itself at an amount that does this machine no harm.
        "kept = [b'\\1' * (32 << 20) for _ in range(40)]; time.sleep(5)",
        "shared = mmap.mmap(-1, 1200 << 20)\nfor at in range(0, 1200 << 20, 4096): shared[at] = 1\ntime.sleep(5)",
        "for _ in range(10):\n    if os.fork() == 0:\n        kept = b'\\1' * (100 << 20)\n        time.sleep(20)\ntime.sleep(20)",
        "array = np.zeros(150 << 20, dtype='i1')\nfor at in range(8):\n    array = np.concatenate([array, array[:100 << 20] + 1])\ntime.sleep(5)",
    ],
    ids=["step by step", "shared mapping", "ten forks", "arrays"],
)
def test_too_much_memory_ends_a_fold_with_both_numbers(sandbox: Sandbox, body: str) -> None:
    report = sandbox.attack(body, memory_kb=ALLOWED_KB, wall_seconds=20)
    assert report.outcome is Outcome.MEMORY
    assert "300 MB are allowed" in report.log_messages


def test_fifty_gigabytes_are_refused_at_once(sandbox: Sandbox) -> None:
    report = sandbox.attack("bytearray(50 << 30)", memory_kb=ALLOWED_KB)
    assert report.outcome is Outcome.MEMORY
    assert "MemoryError" in report.log_messages


def test_memory_within_the_limit_is_measured(sandbox: Sandbox) -> None:
    report = sandbox.attack("kept = b'\\1' * (150 << 20); del kept")
    assert report.outcome is Outcome.OK
    assert 150 * 1024 < report.measures.train_memory < 200 * 1024
    # What training freed is not charged to testing, nor is what the server and its libraries hold.
    assert report.measures.test_memory < 40 * 1024


def test_memory_that_folds_share_with_the_server_is_not_theirs(sandbox: Sandbox) -> None:
    report = sandbox.run_plain()
    assert 0 < report.measures.train_memory < 40 * 1024


def test_too_much_output_ends_a_fold_and_its_end_is_kept(sandbox: Sandbox) -> None:
    report = sandbox.attack(
        """
        line = b"x" * 999 + b"\\n"
        for _ in range(1_000_000):
            os.write(1, line)
        """,
        output_max_bytes=8 * _MB,
    )
    assert report.outcome is Outcome.OUTPUT_LIMIT
    assert "more than 8 MB" in report.log_messages
    assert len(report.log_messages) < LIMITS.output_kept_bytes + 1000


def test_the_end_of_much_output_is_kept(sandbox: Sandbox) -> None:
    report = sandbox.attack("print('x' * 300_000); print('the end')")
    assert report.outcome is Outcome.OK
    assert report.log_messages.endswith("the end")
    assert "are not kept" in report.log_messages


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_scratch_is_bounded(sandbox: Sandbox, folder: str) -> None:
    report = sandbox.attack(
        f"""
        written = 0
        try:
            with open("{folder}/big", "wb") as stream:
                while written < 200 << 20:
                    written += stream.write(bytes(1 << 20))
            got_through()
        except OSError as error:
            print("stopped", error.errno, written >> 20)
        """
    )
    assert held(report)
    assert "stopped 28 " in report.log_messages  # ENOSPC


def test_inodes_of_scratch_are_bounded(sandbox: Sandbox) -> None:
    report = sandbox.attack("""
        try:
            for number in range(50_000):
                os.close(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY))
            got_through()
        except OSError as error:
            print("stopped", error.errno)
    """)
    assert held(report)
    assert "stopped 28" in report.log_messages


def test_sparse_files_are_bounded(sandbox: Sandbox) -> None:
    report = sandbox.attack("""
        try:
            with open("/tmp/sparse", "wb") as stream:
                stream.truncate(1 << 40)
            got_through()
        except OSError as error:
            print("stopped", error.errno)
    """)
    assert held(report)
    assert "stopped 27" in report.log_messages  # EFBIG


def test_open_files_are_bounded(sandbox: Sandbox) -> None:
    assert held(
        sandbox.attack("""
        kept = []
        try:
            while len(kept) < 5000:
                kept.append(os.open("/dev/null", os.O_RDONLY))
            got_through()
        except OSError:
            os.closerange(64, 5000)
    """)
    )


def test_posix_shared_memory_is_bounded_and_gone_afterwards(sandbox: Sandbox) -> None:
    sandbox.attack("""
        from multiprocessing import resource_tracker, shared_memory
        block = shared_memory.SharedMemory("left", create=True, size=1 << 20)
        resource_tracker.unregister(block._name, "shared_memory")
    """)
    assert held(
        sandbox.attack("""
        from multiprocessing import shared_memory
        try:
            shared_memory.SharedMemory("left")
            got_through()
        except FileNotFoundError:
            pass
    """)
    )


@pytest.mark.parametrize(
    ("body", "limits", "outcome"),
    [
        ("while True: pass", {"wall_seconds": 1}, Outcome.TIMEOUT),
        (
            "kept = [b'\\1' * (32 << 20) for _ in range(40)]; time.sleep(5)",
            {"memory_kb": ALLOWED_KB},
            Outcome.MEMORY,
        ),
        ("while True: print('x' * 1000)", {"output_max_bytes": _MB}, Outcome.OUTPUT_LIMIT),
    ],
    ids=["time", "memory", "output"],
)
def test_a_fold_over_a_limit_of_its_data_set_says_whose_it_was(
    sandbox: Sandbox, body: str, limits: dict[str, int], outcome: Outcome
) -> None:
    report = sandbox.attack(body, **limits, of_runner=LIMITS)
    assert report.outcome is outcome
    assert "the limit of this data set" in report.log_messages


def test_a_data_set_lowers_how_many_processes_a_fold_may_have(sandbox: Sandbox) -> None:
    body = """
    for _ in range(8):
        if os.fork() == 0:
            time.sleep(20)
    got_through()
    """
    report = sandbox.attack(body, processes=4, of_runner=LIMITS)
    assert report.outcome is Outcome.USER_ERROR
    assert "BlockingIOError" in report.log_messages


def test_limits_of_a_data_set_do_not_hold_for_preparing_it(sandbox: Sandbox, tmp_path: Path) -> None:
    write_data(tmp_path / "other" / "data")
    other = Sandbox(sandbox.launcher, tmp_path / "other")
    report = other.attack("time.sleep(20)", wall_seconds=0.01, of_runner=LIMITS)
    assert report.outcome is Outcome.TIMEOUT
    assert "the limit of this data set" in report.log_messages
