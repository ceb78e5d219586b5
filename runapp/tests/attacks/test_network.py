"""A fold reaches no network and no socket of the machine."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runapp.tests.attacks.sandbox import Sandbox, got_through, held


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[dict[str, object]]:
    """Servers of this machine by the name of their family, each accepting."""
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as path,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        path.bind(str(tmp_path / "s"))
        (tmp_path / "s").chmod(0o777)
        abstract.bind("\0datarun-test-" + tmp_path.name)
        for listener in (path, abstract):
            listener.listen()
        yield {
            "AF_INET": tcp.getsockname(),
            "AF_UNIX": str(tmp_path / "s"),
            "AF_UNIX abstract": "\0datarun-test-" + tmp_path.name,
        }


def connect(family: str, address: object) -> str:
    return f"""
        try:
            connection = socket.socket(socket.{family.split()[0]})
            connection.settimeout(2)
            connection.connect({address!r})
            got_through()
        except OSError as error:
            print(error)
    """


@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX", "AF_UNIX abstract"])
def test_no_server_of_the_machine_can_be_reached(
    sandbox: Sandbox, listeners: dict[str, object], family: str
) -> None:
    assert held(sandbox.attack(connect(family, listeners[family])))


@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX", "AF_UNIX abstract"])
def test_control_a_plain_process_reaches_them(
    unprotected: Sandbox, listeners: dict[str, object], family: str
) -> None:
    assert got_through(unprotected.attack(connect(family, listeners[family])))


@pytest.mark.parametrize(
    "arguments",
    [
        "socket.AF_INET, socket.SOCK_STREAM", "socket.AF_INET, socket.SOCK_DGRAM", "socket.AF_INET6, socket.SOCK_STREAM",
        "socket.AF_NETLINK, socket.SOCK_RAW", "socket.AF_PACKET, socket.SOCK_RAW", "socket.AF_VSOCK, socket.SOCK_STREAM",
        "38, socket.SOCK_SEQPACKET",
    ],
)  # fmt: skip
def test_only_unix_sockets_can_be_made(sandbox: Sandbox, arguments: str) -> None:
    report = sandbox.attack(f"""
        try:
            socket.socket({arguments})
            got_through()
        except OSError as error:
            print("refused", error.errno)
    """)
    assert held(report)
    assert "refused 97" in report.log_messages


def test_a_socket_of_one_fold_cannot_be_reached_by_the_next(sandbox: Sandbox) -> None:
    sandbox.attack("""
        if os.fork() == 0:
            server = socket.socket(socket.AF_UNIX)
            server.bind("\\0left-behind")
            server.listen()
            time.sleep(60)
    """)
    assert held(sandbox.attack(connect("AF_UNIX", "\0left-behind")))


def test_names_cannot_be_resolved(sandbox: Sandbox) -> None:
    assert held(
        sandbox.attack("""
        try:
            socket.getaddrinfo("localhost", 80)
            socket.create_connection(("localhost", 80), 1)
            got_through()
        except OSError:
            pass
    """)
    )
