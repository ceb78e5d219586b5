"""A fold reads nothing but what it was given, and writes nothing that outlives it."""

from pathlib import Path

import pytest

from runapp.contract import Outcome
from runapp.tests.attacks.sandbox import SECRET_LABEL, Sandbox, got_through, held


def read_file(path: Path) -> str:
    return f"""
        try:
            got_through(open({str(path)!r}).read())
        except OSError:
            pass
    """


def write_file(path: Path) -> str:
    return f"""
        try:
            open({str(path)!r}, "w").write("changed")
            got_through()
        except OSError:
            pass
    """


#: Reads every readable file of the machine and looks for held-out labels.
SEARCH_FILES = f"""
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if not os.path.join(folder, name).startswith(
            ("/usr", "/sys", "/dev", "/lib", sys.prefix, sys.base_prefix))]
        for name in names:
            path = os.path.join(folder, name)
            if path.startswith("/proc") and name not in ("environ", "cmdline"):
                continue
            try:
                content = open(path, "rb").read(1 << 20)
            except OSError:
                continue
            if re.search(rb{SECRET_LABEL!r}, content):
                got_through(path)
"""

#: Reads the whole memory of its own process, which was forked from those that handled the request.
SEARCH_MEMORY = f"""
    pattern = re.compile(rb{SECRET_LABEL!r})
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.readlines():
            start, end = (int(number, 16) for number in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, OverflowError, ValueError):
                continue
            if found := pattern.search(content):
                got_through(found.group())
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("a secret of this machine")
    path.chmod(0o644)
    return path


def test_a_file_of_the_machine_cannot_be_read(sandbox: Sandbox, secret: Path) -> None:
    assert held(sandbox.attack(read_file(secret)))


def test_control_a_plain_process_reads_it(unprotected: Sandbox, secret: Path) -> None:
    assert got_through(unprotected.attack(read_file(secret)))


@pytest.mark.parametrize("name", ["data/train.csv", "data/test.csv", "submission1/classifier.py"])
def test_data_files_and_other_submissions_cannot_be_read(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    assert (tmp_path / name).exists()
    assert held(sandbox.attack(read_file(tmp_path / name)))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/etc/shadow", "/proc/1/environ", "/proc/1/mem", "/proc/1/maps"]
)
def test_the_machines_own_files_cannot_be_read(sandbox: Sandbox, path: str) -> None:
    assert held(sandbox.attack(read_file(Path(path))))


def test_no_readable_file_holds_a_held_out_label(sandbox: Sandbox) -> None:
    assert held(sandbox.attack(SEARCH_FILES))


def test_no_memory_of_a_fold_holds_a_held_out_label(sandbox: Sandbox) -> None:
    assert held(sandbox.attack(SEARCH_MEMORY))


def test_control_the_memory_of_a_plain_process_does(unprotected: Sandbox) -> None:
    assert got_through(unprotected.attack(SEARCH_MEMORY))


def test_labels_are_those_of_the_training_rows_alone(sandbox: Sandbox) -> None:
    report = sandbox.attack("print('labels', list(y), X.shape)")
    assert "labels ['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b', 'a', 'b'] (10, 2)" in report.log_messages


def test_descriptors_are_those_that_were_given(sandbox: Sandbox) -> None:
    report = sandbox.attack("""
        kinds = sorted(re.sub(r".*/|:.*", "", os.readlink(f"/proc/self/fd/{n}")) for n in range(64)
                       if os.path.islink(f"/proc/self/fd/{n}"))
        print("descriptors", kinds)
    """)
    # Input, output and error, the result's socket, the prepared features and their mapping.
    assert "descriptors ['data', 'data', 'null', 'pipe', 'pipe', 'socket']" in report.log_messages


def test_the_environment_holds_nothing_of_the_runner(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = sandbox.attack("print('environment', sorted(os.environ))")
    names = report.log_messages.partition("environment ")[2]
    assert "PATH" in names
    assert not [name for name in ("DR_", "RMQ", "IP_MASTER", "DJANGO", "PYTEST") if name in names]


@pytest.mark.parametrize(
    "path",
    ["{folder}/new.txt", "/new.txt", "/usr/new.txt", "/etc/new.txt", "/dev/new.txt", "/opt/datarun/new.txt"],
)
def test_nothing_can_be_written_outside_scratch(sandbox: Sandbox, tmp_path: Path, path: str) -> None:
    assert held(sandbox.attack(write_file(Path(path.format(folder=tmp_path)))))
    assert not (tmp_path / "new.txt").exists()


def test_control_a_plain_process_writes(unprotected: Sandbox, tmp_path: Path) -> None:
    assert got_through(unprotected.attack(write_file(tmp_path / "new.txt")))


def test_the_data_of_other_folds_cannot_be_changed(sandbox: Sandbox) -> None:
    sandbox.attack("X[:] = 77.0; open('/proc/self/fd/5', 'r+b').write(b'\\1' * 4096)")
    report = sandbox.attack("print('first', X[1].tolist())")
    assert "first [1.0, 0.5]" in report.log_messages


def test_modes_and_owners_of_the_system_cannot_be_changed(sandbox: Sandbox) -> None:
    assert held(
        sandbox.attack("""
        for change in (lambda: os.chmod("/usr/bin/env", 0o777), lambda: os.chown("/usr", 1000, 1000),
                       lambda: os.symlink("/etc", "/usr/link"), lambda: os.mknod("/tmp/device", 0o60600, 0x100),
                       lambda: os.rename("/usr/bin", "/usr/nib"), lambda: os.unlink("/usr/bin/env")):
            try:
                change()
                got_through()
            except OSError:
                pass
    """)
    )


def test_what_a_fold_writes_is_gone_with_it(sandbox: Sandbox) -> None:
    sandbox.attack("open('/tmp/left', 'w').write('x'); open('/dev/shm/left', 'w').write('x')")
    assert held(
        sandbox.attack("""
        if os.path.exists("/tmp/left") or os.path.exists("/dev/shm/left"):
            got_through()
    """)
    )


def test_scratch_does_not_run_programs(sandbox: Sandbox) -> None:
    assert held(
        sandbox.attack("""
        open("/tmp/program", "w").write("#!/bin/sh\\necho")
        os.chmod("/tmp/program", 0o755)
        try:
            subprocess.run(["/tmp/program"])
            got_through()
        except OSError:
            pass
    """)
    )


def test_an_own_file_of_the_submission_can_be_read(sandbox: Sandbox) -> None:
    report = sandbox.attack("print(len(open(__file__).read()) > 100)")
    assert report.outcome is Outcome.OK
    assert "True" in report.log_messages
