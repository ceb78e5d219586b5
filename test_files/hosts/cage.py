"""A cage for test hosts: one process with its own mounts, processes, IPC and network. When it ends, so does
everything in it, even if this process is killed."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runapp.parent_death import die_with_parent

#: Programs and files that the hosts need here, and the Debian packages that bring them.
NEEDED = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "nmap": "nmap",
    "curl": "curl",
    "openssl": "openssl",
    # By this mmdebstrap knows which archive a release of Ubuntu is in.
    "/usr/share/distro-info/ubuntu.csv": "distro-info-data",
}

# The cage's pid 1: it says that it is there, then only collects the processes left to it.
_INIT = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("ready", flush=True)
while True:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        signal.sigtimedwait([signal.SIGCHLD], 1)
"""
_END_SECONDS = 20.0


class CommandFailed(Exception):
    """A command ended with an error; the message holds what it printed."""


class Cage:
    """Namespaces that last as long as the context.

    ``network_namespace`` is the path under which another process can reach the cage's network.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--ipc", "--net", "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", sys.executable, "-c", _INIT],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent(),
        )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise CommandFailed(f"namespaces cannot be made here: {self._process.communicate()[1]}")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        self.pid = int(children.split()[0])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Its pid 1 first: with that all others end, and only then does the process that waits for it.
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait(_END_SECONDS)

    @property
    def network_namespace(self) -> str:
        return f"/proc/{self.pid}/ns/net"

    def inside(self, command: Sequence[str | Path]) -> list[str]:
        """The command line that runs ``command`` in the cage."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--ipc", "--net", "--"]
        return [*enter, *map(str, command)]

    def run(self, *command: str | Path, **options: Any) -> str:
        """Run a command in the cage; see `run`."""
        return run(*self.inside(command), **options)


def run(
    *command: str | Path, timeout_seconds: float = 60, check: bool = True, stdin: str | bytes = b""
) -> str:
    """Run a command; what it printed, errors included.

    Raises
    ------
    CommandFailed
        If it ends with an error and ``check`` is set, or takes longer than ``timeout_seconds``.
    """
    try:
        done = subprocess.run(
            list(map(str, command)),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        printed = (error.stdout or b"").decode(errors="replace")
        raise CommandFailed(
            f"{shlex.join(map(str, command))}: not done in {timeout_seconds} s\n{printed}"
        ) from None
    printed = done.stdout.decode(errors="replace")
    if check and done.returncode:
        raise CommandFailed(f"{shlex.join(map(str, command))}: exit code {done.returncode}\n{printed}")
    return printed


def why_no_hosts() -> str:
    """Why this machine cannot carry test hosts, in words; empty where it can."""
    if os.geteuid() != 0:
        return "test hosts need root"
    if missing := missing_packages():
        return f"missing here: apt-get install {' '.join(missing)}"
    try:
        with Cage() as cage:
            cage.run("ip", "link", "add", "probe", "type", "bridge")
            cage.run("ip", "link", "add", "probe0", "type", "veth", "peer", "probe1")
    except CommandFailed as error:
        return f"the kernel does not allow what test hosts need: {error}"
    if not Path("/dev/fuse").exists():
        return "the kernel has no FUSE, which the shared disk needs"
    return ""


def missing_packages() -> list[str]:
    """Debian's names of the packages that test hosts need and that are not here."""
    return [package for name, package in NEEDED.items() if not _found(name)]


def _found(name: str) -> bool:
    if name.startswith("/"):
        return Path(name).exists()
    return any(os.access(f"{folder}/{name}", os.X_OK) for folder in (*os.get_exec_path(), "/usr/sbin"))


if __name__ == "__main__":
    for name in missing_packages():
        print(name)
