"""Names for processes that tell, on the same host, whether the process is still there."""

import os
import socket
from functools import cache
from pathlib import Path

_SEPARATOR = "|"


@cache
def _here() -> str:
    """This boot of this host, and the process ids' namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    return _SEPARATOR.join((socket.gethostname(), boot, str(namespace)))


def _started_ticks(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None if it is not there or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def this_process() -> str:
    """The name of this process, different from that of any other that ever ran."""
    pid = os.getpid()
    return _SEPARATOR.join((_here(), str(pid), _started_ticks(pid) or ""))


def is_gone(holder: str) -> bool:
    """Whether the process of that name is known to have ended: it ran here, and does so no longer."""
    where, _, started = holder.rpartition(_SEPARATOR)
    here, _, pid = where.rpartition(_SEPARATOR)
    if here != _here() or not pid.isdecimal():
        return False
    return _started_ticks(int(pid)) != started
