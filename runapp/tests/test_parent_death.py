"""Processes that end with the one that started them."""

import signal
import subprocess
import sys

from runapp.parent_death import die_with_parent


def test_the_signal_ends_a_child_whose_parent_ignores_it() -> None:
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", "print('started', flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent(signal.SIGQUIT),
        )
    finally:
        signal.signal(signal.SIGQUIT, before)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGQUIT)
        assert child.wait(timeout=30) == -signal.SIGQUIT
