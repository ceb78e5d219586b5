"""The zygote: the warm process from which every fold is forked.

Forked from the fold server before that has imported anything large, it imports what submissions use and
never uses it itself: once a library has started threads here, forked children may hang. So a fold costs one
copy of the warm process, and none for its supervisor.

A supervisor that has made a fold's namespaces asks for the fold on a channel that all supervisors share. One
message carries three descriptors: the keeper of the fold's process tree (a pidfd), a socket on which the fold
gets its request, and a socket on which the zygote tells how the fold ended, once it has. As long as the
supervisor holds its end of that, the fold's process stays, if only as a zombie: it is still looked at.
"""

import contextlib
import gc
import importlib
import os
import select
import socket
import struct
import traceback
import warnings
from typing import NoReturn

from runapp.runner.isolation import lockdown, syscalls

#: Said on the channel once the libraries are imported.
_WARM = b"warm"
_ASK = b"fork"
_STATUS = struct.Struct("<i")

_WARM_MODULES = (
    "calibration", "cluster", "compose", "covariance", "cross_decomposition", "decomposition",
    "discriminant_analysis", "dummy", "ensemble", "feature_extraction.text", "feature_selection",
    "gaussian_process", "impute", "isotonic", "kernel_approximation", "kernel_ridge", "linear_model",
    "manifold", "metrics", "mixture", "model_selection", "multiclass", "multioutput", "naive_bayes",
    "neighbors", "neural_network", "pipeline", "preprocessing", "random_projection", "semi_supervised",
    "svm", "tree",
)  # fmt: skip


class Fold:
    """A fold's first process, seen by the supervisor that asked for it. A ``FirstProcess``."""

    def __init__(self, status: socket.socket) -> None:
        self._status = status

    @classmethod
    def ask(cls, channel: socket.socket, keeper: int, feed: int) -> "Fold":
        """Have a fold forked into the process tree of ``keeper``; it reads its request from ``feed``."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(channel, [_ASK], [keeper, feed, theirs.fileno()])
        return cls(ours)

    def fileno(self) -> int:
        """As ``FirstProcess``."""
        return self._status.fileno()

    def return_code(self) -> int:
        """As ``FirstProcess``; raises ``OSError`` if the zygote ended before it could tell."""
        answer = self._status.recv(_STATUS.size, socket.MSG_WAITALL | socket.MSG_PEEK)
        if len(answer) < _STATUS.size:
            raise OSError("the zygote is gone, or could not fork the fold")
        (code,) = _STATUS.unpack(answer)
        return int(code)

    def close(self) -> None:
        """Let the zygote bury the process, which stays to be looked at until then."""
        self._status.close()


class Zygote:
    """Forks folds until nobody is left who could ask for one."""

    def __init__(self, channel: socket.socket, system_call_filter: bytes) -> None:
        self._channel = channel
        self._filter = system_call_filter
        #: By pidfd of a fold's process: its process id, and the descriptor where its end is told.
        self._folds: dict[int, tuple[int, int]] = {}
        #: By that descriptor: process ids of those that ended, and are still looked at.
        self._ended: dict[int, int] = {}

    def run(self) -> None:
        while True:
            poll = select.poll()
            for descriptor in (self._channel.fileno(), *self._folds, *self._ended):
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll():
                if descriptor in self._folds:
                    self._tell_end(descriptor)
                elif descriptor in self._ended:
                    self._bury(descriptor)
                elif not self._answer():
                    return

    def _answer(self) -> bool:
        """Fork one fold; tells whether there may be more."""
        asked, descriptors, _, _ = socket.recv_fds(self._channel, len(_ASK), 3, socket.MSG_CMSG_CLOEXEC)
        if not asked:
            return False
        keeper, feed, status = descriptors
        try:
            pid = lockdown.fork_into_tree(keeper)
        except OSError:
            # The supervisor, and the keeper with it, ended meanwhile, or the machine is at its end.
            traceback.print_exc()
        else:
            if pid == 0:
                self._become_fold(keeper, feed)
            self._folds[os.pidfd_open(pid)] = pid, os.dup(status)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _become_fold(self, keeper: int, feed: int) -> NoReturn:
        try:
            inside = importlib.import_module("runapp.runner.isolation.inside")
            inside.become_fold(keeper, feed, self._filter)
        finally:
            os._exit(1)

    def _tell_end(self, descriptor: int) -> None:
        """Tell the supervisor how its fold ended; the process stays as long as that listens."""
        pid, status = self._folds.pop(descriptor)
        os.close(descriptor)
        self._ended[status] = pid
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        if ended is not None:
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            with contextlib.suppress(BrokenPipeError):  # it listens no more
                os.write(status, _STATUS.pack(code))

    def _bury(self, status: int) -> None:
        os.waitpid(self._ended.pop(status), 0)
        os.close(status)


def warm_up() -> None:
    """Import what submissions use, and keep the collector from touching, so copying, its pages in folds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _WARM_MODULES:
            importlib.import_module(f"sklearn.{name}")
    # Imported here: the server and its supervisors have no use for it, and no room.
    importlib.import_module("runapp.runner.isolation.inside").find_thread_pools()
    gc.collect()
    gc.freeze()


def start(system_call_filter: bytes, listener: socket.socket) -> socket.socket:
    """Fork the zygote, which closes ``listener``, and wait until it is warm; the channel to ask it on.

    Raises ``OSError`` if it could not be warmed up, having said why.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        listener.close()
        _become_zygote(theirs, system_call_filter)
    theirs.close()
    if ours.recv(len(_WARM)) != _WARM:
        raise OSError("the zygote ended while it was warmed up")
    return ours


def _become_zygote(channel: socket.socket, system_call_filter: bytes) -> NoReturn:
    code = 1
    try:
        syscalls.set_name("zygote")
        warm_up()
        channel.send(_WARM)
        Zygote(channel, system_call_filter).run()
        code = 0
    except BaseException:  # noqa: BLE001 - the server learns of it by the channel's end, people by the log
        traceback.print_exc()
    finally:
        os._exit(code)
