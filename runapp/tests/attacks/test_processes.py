"""A fold reaches no process but its own, and none of its own stays."""

import subprocess
from collections.abc import Iterator

import pytest

from runapp.contract import SOFT_TIME_LIMIT_WORDS, Outcome
from runapp.tests.attacks.sandbox import Sandbox, got_through, held


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this machine with a secret in its environment."""
    with subprocess.Popen(["sleep", "60"], env={"VICTIM_SECRET": "environment-of-a-victim"}) as process:
        yield process
        process.kill()


READ_ENVIRONMENTS = """
    for entry in os.scandir("/proc"):
        try:
            if b"VICTIM" + b"_SECRET" in open(entry.path + "/environ", "rb").read():
                got_through()
        except OSError:
            pass
"""


def send_signal(pid: int) -> str:
    return f"os.kill({pid}, signal.SIGTERM)"


def test_no_process_of_the_machine_can_be_signalled(
    sandbox: Sandbox, victim: subprocess.Popen[bytes]
) -> None:
    report = sandbox.attack(send_signal(victim.pid))
    assert "ProcessLookupError" in report.log_messages
    assert victim.poll() is None


def test_control_a_plain_process_signals_it(unprotected: Sandbox, victim: subprocess.Popen[bytes]) -> None:
    unprotected.attack(send_signal(victim.pid))
    assert victim.wait(5) == -15


@pytest.mark.usefixtures("victim")
def test_no_environment_of_another_process_can_be_read(sandbox: Sandbox) -> None:
    assert held(sandbox.attack(READ_ENVIRONMENTS))


@pytest.mark.usefixtures("victim")
def test_control_a_plain_process_reads_it(unprotected: Sandbox) -> None:
    assert got_through(unprotected.attack(READ_ENVIRONMENTS))


def test_a_fold_sees_itself_and_its_keeper_alone(sandbox: Sandbox) -> None:
    report = sandbox.attack("print('processes', sorted(p for p in os.listdir('/proc') if p.isdecimal()))")
    assert "processes ['1', '2']" in report.log_messages


def test_the_keeper_cannot_be_killed_traced_or_read(sandbox: Sandbox) -> None:
    assert held(
        sandbox.attack("""
        for number in range(1, 65):
            try:
                os.kill(1, number)
            except OSError:
                pass
        PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
        libc = ctypes.CDLL(None)
        for request in (PTRACE_ATTACH, PTRACE_SEIZE):
            if libc.ptrace(request, 1, 0, 0) == 0:
                got_through("ptrace")
        for name in ("mem", "environ", "maps", "auxv", "root", "cwd"):
            try:
                open(f"/proc/1/{name}", "rb").read(1)
                got_through(name)
            except OSError:
                pass
        if not os.path.exists("/proc/1"):
            got_through("killed")
    """)
    )


def test_killing_everything_kills_the_fold_alone(sandbox: Sandbox) -> None:
    report = sandbox.attack("""
        for _ in range(3):
            subprocess.Popen(["sleep", "60"])
        os.kill(-1, signal.SIGKILL)
        while len([p for p in os.listdir("/proc") if p.isdecimal()]) > 5:
            time.sleep(0.01)
    """)
    assert report.outcome is Outcome.OK


def test_signalling_the_parent_ends_the_fold_alone(sandbox: Sandbox) -> None:
    report = sandbox.attack("os.kill(os.getppid(), signal.SIGKILL)")
    assert report.outcome is Outcome.CRASH
    assert "SIGKILL" in report.log_messages


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("ptrace", "0, 0, 0, 0"), ("unshare", "0x10000000"), ("setns", "0, 0"), ("mount", "0, 0, 0, 0, 0"),
        ("umount2", "0, 0"), ("pivot_root", "0, 0"), ("chroot", "0"), ("bpf", "0, 0, 0"),
        ("perf_event_open", "0, 0, 0, 0, 0"), ("userfaultfd", "0"), ("io_uring_setup", "0, 0"), ("keyctl", "0, 0"),
        ("add_key", "0, 0, 0, 0, 0"), ("memfd_create", "0, 0"), ("setuid", "0"), ("setresgid", "0, 0, 0"),
        ("process_vm_readv", "0, 0, 0, 0, 0, 0"), ("pidfd_getfd", "0, 0, 0"), ("shmget", "0, 4096, 0o1600"),
        ("semget", "0, 1, 0o1600"), ("msgget", "0, 0o1600"), ("open_by_handle_at", "0, 0, 0"),
    ],
)  # fmt: skip
def test_dangerous_system_calls_are_refused(sandbox: Sandbox, call: str, arguments: str) -> None:
    numbers = {
        "ptrace": 101, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
        "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "keyctl": 250, "add_key": 248,
        "memfd_create": 319, "setuid": 105, "setresgid": 119, "process_vm_readv": 310, "pidfd_getfd": 438,
        "shmget": 29, "semget": 64, "msgget": 68, "open_by_handle_at": 304,
    }  # fmt: skip
    report = sandbox.attack(f"""
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.syscall({numbers[call]}, {arguments})
        print("refused" if (result, ctypes.get_errno()) == (-1, 1) else got_through())
    """)
    assert held(report)
    assert "refused" in report.log_messages


def test_clone_makes_no_namespace_and_clone3_is_not_there(sandbox: Sandbox) -> None:
    assert held(
        sandbox.attack("""
        libc = ctypes.CDLL(None, use_errno=True)
        CLONE, CLONE3, CLONE_NEWUSER, ENOSYS = 56, 435, 0x10000000, 38
        pid = libc.syscall(CLONE, CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        if pid > 0:
            got_through("clone")
        if libc.syscall(CLONE3, 0, 0) != -1 or ctypes.get_errno() != ENOSYS:
            got_through("clone3")
    """)
    )


def test_a_fold_cannot_hide_its_memory(sandbox: Sandbox) -> None:
    assert held(
        sandbox.attack("""
        PR_SET_DUMPABLE = 4
        if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0:
            got_through()
    """)
    )


def test_no_capability_is_left_and_none_comes_back(sandbox: Sandbox) -> None:
    report = sandbox.attack("""
        for status in (open("/proc/self/status").read(), subprocess.check_output(["cat", "/proc/self/status"], text=True)):
            print(re.findall("(?:Cap|NoNewPrivs|Seccomp:).*", status))
    """)
    lines = [line for line in report.log_messages.splitlines() if "CapEff" in line]
    assert len(lines) == 2
    for line in lines:
        assert line.count("0000000000000000") == 5
        assert "NoNewPrivs:\\t1" in line
        assert "Seccomp:\\t2" in line


def test_a_daemon_dies_with_its_fold(sandbox: Sandbox) -> None:
    # The fixture finds whatever is left a second after the fold.
    report = sandbox.attack("""
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
                    signal.signal(number, signal.SIG_IGN)
                os.closerange(0, 64)
                time.sleep(300)
            os._exit(0)
    """)
    assert report.outcome is Outcome.OK


def test_a_loop_that_ignores_every_signal_ends_at_the_deadline(sandbox: Sandbox) -> None:
    report = sandbox.attack(
        """
        for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        print("before the loop")
        while True:
            pass
        """,
        wall_seconds=1,
    )
    assert report.outcome is Outcome.TIMEOUT
    assert SOFT_TIME_LIMIT_WORDS in report.log_messages
    assert "killed after 1 s" in report.log_messages
    assert "before the loop" in report.log_messages


@pytest.mark.parametrize(
    "body",
    [
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "os.closerange(0, 64); time.sleep(300)",
        "threading.Thread(target=time.sleep, args=(300,)).start(); raise SystemExit(threading.Event().wait())",
    ],
    ids=["stopped", "all pipes closed", "threads"],
)
def test_a_fold_that_only_waits_ends_at_the_deadline(sandbox: Sandbox, body: str) -> None:
    assert sandbox.attack(body, wall_seconds=1).outcome is Outcome.TIMEOUT


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("os._exit(0)", "code 0 and without a result"),
        ("os._exit(7)", "code 7 and without a result"),
        ("os.execv('/bin/true', ['true'])", "code 0 and without a result"),
    ],
)
def test_a_fold_that_dies_is_a_crash_that_says_how(sandbox: Sandbox, body: str, words: str) -> None:
    report = sandbox.attack(f"print('last words'); sys.stdout.flush(); {body}")
    assert report.outcome is Outcome.CRASH
    assert words in report.log_messages
    assert "last words" in report.log_messages


def test_leaving_by_system_exit_is_no_result(sandbox: Sandbox) -> None:
    report = sandbox.attack("raise SystemExit(0)")
    assert report.outcome is Outcome.USER_ERROR
    assert 'File "classifier.py"' in report.log_messages


def test_processes_are_bounded(sandbox: Sandbox) -> None:
    report = sandbox.attack(
        """
        started = []
        try:
            while len(started) < 200:
                pid = os.fork()
                if pid == 0:
                    time.sleep(60)
                    os._exit(0)
                started.append(pid)
        except BlockingIOError:
            print("started", len(started))
        if len(started) > 16:
            got_through()
        for pid in started:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        """,
        processes=16,
    )
    assert held(report)
    assert "started 1" in report.log_messages


def test_a_fork_bomb_stays_in_its_fold(sandbox: Sandbox) -> None:
    # Were there no limit, it would stop at 300 processes of its own accord.
    report = sandbox.attack(
        """
        count = mmap.mmap(-1, 8)
        while int.from_bytes(count[:], "little") < 300:
            try:
                os.fork()
                count[:] = (int.from_bytes(count[:], "little") + 1).to_bytes(8, "little")
            except BlockingIOError:
                pass
        got_through()
        time.sleep(60)
        """,
        processes=16,
        wall_seconds=2,
    )
    assert report.outcome in (Outcome.TIMEOUT, Outcome.CRASH)
    assert not got_through(report)


def test_threads_of_numerical_libraries_are_bounded(sandbox: Sandbox) -> None:
    report = sandbox.attack(
        """
        import threadpoolctl
        with threadpoolctl.threadpool_limits(200):
            np.ones((600, 600)) @ np.ones((600, 600))
        """,
        wall_seconds=5,
    )
    assert report.outcome in Outcome
