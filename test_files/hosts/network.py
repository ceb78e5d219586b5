"""The network of test hosts: a bridge of their own, with a proxy to package archives as the only way out."""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from runapp.parent_death import die_with_parent
from test_files.hosts.cage import Cage, CommandFailed
from test_files.hosts.machine import BRIDGE, PREFIX_LENGTH
from test_files.hosts.proxy import CLONE_NEWNET

T = TypeVar("T")

#: A network that documentation may use, so that it can clash with none.
_NETWORK = "198.51.100"
GATEWAY = f"{_NETWORK}.1"
PROXY = f"{GATEWAY}:3128"


def address(number: int) -> str:
    """The address of the host of this number, 2 to 254."""
    return f"{_NETWORK}.{number}"


def make_network(cage: Cage) -> subprocess.Popen[str]:
    """Make bridge and proxy; returns the proxy's process, which ends with this one at the latest."""
    cage.run("mkdir", "-p", "/run/netns")
    cage.run("mount", "-t", "tmpfs", "netns", "/run/netns")
    for command in (
        "link set lo up",
        f"link add {BRIDGE} type bridge",
        f"addr add {GATEWAY}/{PREFIX_LENGTH} dev {BRIDGE}",
        f"link set {BRIDGE} up",
    ):
        cage.run("ip", *command.split())
    host, port = PROXY.split(":")
    proxy = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("proxy.py"), cage.network_namespace, host, port],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent(),
    )  # fmt: skip
    assert proxy.stdout is not None
    if proxy.stdout.readline() != "ready\n":
        raise CommandFailed("the proxy did not start")
    return proxy


def in_network(cage: Cage, function: Callable[[], T]) -> T:
    """Call ``function`` in the hosts' network, by a thread that is in it; what it returns or raises."""

    def enter() -> None:
        with open(cage.network_namespace) as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    with ThreadPoolExecutor(1, initializer=enter) as threads:
        return threads.submit(function).result()
