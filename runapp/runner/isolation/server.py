"""The fold server: a warm process that forks a supervisor for each fold.

Started by exec inside the outer view, with an empty environment, it imports what submissions use and never
uses it itself: once a library has started threads here, forked children may hang. It ends when no runner
is connected any more, or after a time without a fold.
"""

import gc
import importlib
import os
import select
import socket
import time
import warnings

from threadpoolctl import ThreadpoolController

from runapp.runner.isolation import inside, supervisor
from runapp.runner.isolation.wire import PRESENCE, WORK

_GREETING_SECONDS = 5.0

_WARM_MODULES = (
    "calibration", "cluster", "compose", "covariance", "cross_decomposition", "decomposition",
    "discriminant_analysis", "dummy", "ensemble", "feature_extraction.text", "feature_selection",
    "gaussian_process", "impute", "isotonic", "kernel_approximation", "kernel_ridge", "linear_model",
    "manifold", "metrics", "mixture", "model_selection", "multiclass", "multioutput", "naive_bayes",
    "neighbors", "neural_network", "pipeline", "preprocessing", "random_projection", "semi_supervised",
    "svm", "tree",
)  # fmt: skip


class Server:
    """Accepts connections on a listening socket until nobody needs it any more.

    It ends ``alone_seconds`` after the last runner left, and after ``idle_seconds`` without a fold.
    """

    def __init__(
        self, listener: socket.socket, system_call_filter: bytes, *, idle_seconds: float, alone_seconds: float
    ) -> None:
        self._listener = listener
        self._filter = system_call_filter
        self._idle_seconds = idle_seconds
        self._alone_seconds = alone_seconds
        self._presences: dict[int, socket.socket] = {}
        #: Open descriptors of the supervisors' processes, and their process ids.
        self._supervisors: dict[int, int] = {}
        self._last_needed = self._last_fold = time.monotonic()

    def run(self) -> None:
        while self._is_needed():
            poll = select.poll()
            for descriptor in (self._listener.fileno(), *self._presences, *self._supervisors):
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll(self._alone_seconds * 1000 / 2):
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor in self._presences:
                    self._presences.pop(descriptor).close()
                else:
                    os.waitpid(self._supervisors.pop(descriptor), 0)
                    os.close(descriptor)

    def _is_needed(self) -> bool:
        now = time.monotonic()
        if self._supervisors:
            self._last_needed = self._last_fold = now
        elif self._presences:
            self._last_needed = now
        return now - self._last_needed < self._alone_seconds and now - self._last_fold < self._idle_seconds

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(_GREETING_SECONDS)
        try:
            greeting = connection.recv(1)
        except OSError:
            greeting = b""
        connection.settimeout(None)
        if greeting == PRESENCE:
            self._presences[connection.fileno()] = connection
            return
        if greeting == WORK:
            self._fork(connection)
        connection.close()

    def _fork(self, connection: socket.socket) -> None:
        pid = os.fork()
        if pid == 0:
            self._listener.close()
            for descriptor in (*self._presences, *self._supervisors):
                os.close(descriptor)
            supervisor.run(connection, self._filter)
        self._supervisors[os.pidfd_open(pid)] = pid


def main(listener_descriptor: int, filter_descriptor: int, idle_seconds: float, alone_seconds: float) -> None:
    """Serve on the listening socket that was inherited; the seccomp filter is read from a pipe."""
    with open(filter_descriptor, "rb") as stream:
        system_call_filter = stream.read()
    warm_up()
    listener = socket.socket(fileno=listener_descriptor)
    listener.set_inheritable(False)
    Server(listener, system_call_filter, idle_seconds=idle_seconds, alone_seconds=alone_seconds).run()


def warm_up() -> None:
    """Import what submissions use, and keep the collector from touching, so copying, its pages in folds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _WARM_MODULES:
            importlib.import_module(f"sklearn.{name}")
    inside.thread_pools = ThreadpoolController()
    gc.collect()
    gc.freeze()
