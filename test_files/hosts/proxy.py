"""A forward proxy by which test hosts reach package archives, and nothing else of this machine's network.

    python proxy.py NETWORK_NAMESPACE ADDRESS PORT

It listens in the hosts' network and connects from this machine's, to the ports 80 and 443 alone. Names that
a host looks up are resolved here, so that hosts need no name server.
"""

import ctypes
import os
import select
import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

#: What setns calls a network namespace.
CLONE_NEWNET = 0x40000000
_TIMEOUT_SECONDS = 120.0
_PORTS = (80, 443)


def listen(network_namespace: str, address: tuple[str, int]) -> socket.socket:
    """A listening socket in another network; this process stays in its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as own, open(network_namespace) as other:
        for namespace in (other, own):
            if namespace is own:
                listener = socket.create_server(address, backlog=64)
            if libc.setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
    return listener


class Handler(BaseHTTPRequestHandler):
    """Passes on plain requests (apt) and tunnels (pip)."""

    timeout = _TIMEOUT_SECONDS

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        upstream = self._connect(host, int(port))
        if upstream is None:
            return
        with upstream:
            self.send_response_only(200)
            self.end_headers()
            self._relay(upstream)
        self.close_connection = True

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        upstream = self._connect(address.hostname or "", address.port or 80)
        if upstream is None:
            return
        path = address.path + (f"?{address.query}" if address.query else "")
        headers = [f"{name}: {value}" for name, value in self.headers.items() if name.lower() != "connection"]
        request = [f"{self.command} {path} HTTP/1.1", *headers, "Connection: close", "", ""]
        with upstream:
            upstream.sendall("\r\n".join(request).encode())
            self._relay(upstream)
        self.close_connection = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def _connect(self, host: str, port: int) -> socket.socket | None:
        if port not in _PORTS:
            self.send_error(403, "not a port of a package archive")
            return None
        try:
            return socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS)
        except OSError as error:
            self.send_error(502, str(error))
            return None

    def _relay(self, upstream: socket.socket) -> None:
        """Pass bytes both ways until either end closes, or nothing moves for long."""
        self.wfile.flush()
        other_end = {self.connection: upstream, upstream: self.connection}
        while readable := select.select(list(other_end), [], [], _TIMEOUT_SECONDS)[0]:
            for source in readable:
                content = source.recv(1 << 16)
                if not content:
                    return
                other_end[source].sendall(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: apt and pip report what failed."""


class Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """Serves an already listening socket, each connection in a thread."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), Handler)
        self.socket = listener

    def fileno(self) -> int:
        return self.socket.fileno()

    def get_request(self) -> tuple[socket.socket, object]:
        return self.socket.accept()

    def shutdown_request(self, request: socket.socket) -> None:
        request.close()


def main() -> None:
    network_namespace, host, port = sys.argv[1:]
    server = Server(listen(network_namespace, (host, int(port))))
    print("ready", flush=True)
    os.chdir("/")
    server.serve_forever()


if __name__ == "__main__":
    main()
