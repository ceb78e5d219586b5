"""The fold server: it forks a supervisor for each fold, and the zygote from which the folds are forked.

Started by exec inside the outer view, with an empty environment. It imports little, so that a supervisor
costs little. It ends when no runner is connected any more, after a time without a fold, or with its zygote.
"""

import os
import select
import socket
import time

from runapp.runner.isolation import lockdown, supervisor, syscalls, zygote
from runapp.runner.isolation.wire import PRESENCE, WORK

_GREETING_SECONDS = 5.0


class Server:
    """Accepts connections on a listening socket until nobody needs it any more.

    It ends ``alone_seconds`` after the last runner left, and after ``idle_seconds`` without a fold.
    """

    def __init__(
        self, listener: socket.socket, zygote: socket.socket, *, idle_seconds: float, alone_seconds: float
    ) -> None:
        self._listener = listener
        self._zygote = zygote
        self._idle_seconds = idle_seconds
        self._alone_seconds = alone_seconds
        self._presences: dict[int, socket.socket] = {}
        #: Open descriptors of the supervisors' processes, and their process ids.
        self._supervisors: dict[int, int] = {}
        self._last_needed = self._last_fold = time.monotonic()

    def run(self) -> None:
        while self._is_needed():
            poll = select.poll()
            own = (self._listener.fileno(), self._zygote.fileno())
            for descriptor in (*own, *self._presences, *self._supervisors):
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll(self._alone_seconds * 1000 / 2):
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor == self._zygote.fileno():
                    return  # it says nothing once it is warm: this is its end
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
            supervisor.run(connection, self._zygote)
        self._supervisors[os.pidfd_open(pid)] = pid


def main(listener_descriptor: int, filter_descriptor: int, idle_seconds: float, alone_seconds: float) -> None:
    """Serve on the listening socket that was inherited; the seccomp filter is read from a pipe."""
    syscalls.set_name("fold-server")
    with open(filter_descriptor, "rb") as stream:
        system_call_filter = stream.read()
    listener = socket.socket(fileno=listener_descriptor)
    listener.set_inheritable(False)
    lockdown.own_users()
    channel = zygote.start(system_call_filter, listener)
    Server(listener, channel, idle_seconds=idle_seconds, alone_seconds=alone_seconds).run()
