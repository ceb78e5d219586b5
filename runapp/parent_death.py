"""Processes that end with the one that started them, even when it is killed. No Django."""

import ctypes
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None)


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """What to hand to ``subprocess.Popen(preexec_fn=...)``: the kernel then sends ``death_signal`` to the
    child when the *thread* that started it ends, so start it from a thread that stays."""

    def ask_kernel() -> None:
        if death_signal != signal.SIGKILL:
            # What a shell starts in the background ignores SIGINT and SIGQUIT, and would pass that on.
            signal.signal(death_signal, signal.SIG_DFL)
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal)

    return ask_kernel
