"""Test hosts leave nothing behind, whatever ends the process that made them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runapp.environment import BASE_DIR
from test_files.hosts.machine import wait_until
from test_files.hosts.site import Site

_PROGRAM = """
import sys, signal
# A shell that starts something in the background has it ignore this.
signal.signal(signal.SIGINT, signal.default_int_handler)
from test_files.hosts.site import Site
with Site("24.04") as site:
    machine = site.machine("spare")
    print(site.folder, machine.leader, site.cage.pid, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_hosts_end_with_the_process_that_made_them(number: signal.Signals) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    maker = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        cwd=BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert maker.stdout is not None
        folder, *pids = maker.stdout.readline().split()
        assert len(pids) == 2
        maker.send_signal(number)
        maker.wait(60)
        wait_until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "all are gone", timeout_seconds=20
        )
    finally:
        maker.kill()
    assert Path("/proc/self/mounts").read_text() == mounts
    with Site("24.04"):
        assert not Path(folder).exists(), "the next run removes what a killed one left on the disk"
