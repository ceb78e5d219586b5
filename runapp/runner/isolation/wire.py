"""Messages between a runner, a fold's supervisor and the fold: a JSON header and byte strings.

A message is the length of its header, the header, then the blobs whose lengths the header gives.
Descriptors travel with the first byte. Whoever reads says how much it is ready to take, since what
comes out of a fold was written by a stranger.
"""

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

from runapp.errors import InvalidMessage

#: First byte of a connection: a runner that stays connected while it may want folds, or one fold's request.
PRESENCE, WORK = b"P", b"F"
#: What a request may ask for.
FOLD, SPLIT, PREPARE = "fold", "split", "prepare"

_LENGTH = struct.Struct("<Q")
MAX_HEADER_BYTES = 4 << 20
MAX_DESCRIPTORS = 16


class Ended(ConnectionError):
    """The other end closed the connection in the middle of a message, or before one."""


def send(
    connection: socket.socket,
    header: dict[str, Any],
    blobs: Sequence[Any] = (),
    descriptors: Sequence[int] = (),
) -> None:
    """Send one message; blobs are bytes-like."""
    views = [memoryview(blob).cast("B") for blob in blobs]
    text = json.dumps({**header, "blobs": [len(view) for view in views]}).encode()
    start = _LENGTH.pack(len(text)) + text
    if descriptors:
        sent = socket.send_fds(connection, [start], descriptors)
        start = start[sent:]
    connection.sendall(start)
    for view in views:
        connection.sendall(view)


def receive(
    connection: socket.socket, *, max_blob_bytes: int, max_descriptors: int = 0
) -> tuple[dict[str, Any], list[bytearray], list[int]]:
    """Receive one message: header, blobs, descriptors.

    Raises
    ------
    Ended
        If there is none any more.
    InvalidMessage
        If it is not well formed, or larger than ``max_blob_bytes``.
    """
    head = bytearray()
    descriptors: list[int] = []
    if max_descriptors:
        first, descriptors, _, _ = socket.recv_fds(
            connection, _LENGTH.size, max_descriptors, socket.MSG_CMSG_CLOEXEC
        )
        head += first
        if not first:
            raise Ended("closed")
    try:
        head += _receive_exactly(connection, _LENGTH.size - len(head))
        (length,) = _LENGTH.unpack(head)
        header, lengths = _read_header(connection, length, max_blob_bytes)
        return header, [_receive_exactly(connection, length) for length in lengths], descriptors
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _read_header(
    connection: socket.socket, length: int, max_blob_bytes: int
) -> tuple[dict[str, Any], list[int]]:
    if length > MAX_HEADER_BYTES:
        raise InvalidMessage(f"a header of {length} bytes")
    try:
        header = json.loads(_receive_exactly(connection, length))
    except (ValueError, RecursionError):
        raise InvalidMessage("the header is not JSON") from None
    lengths = header.pop("blobs", None) if isinstance(header, dict) else None
    if not isinstance(lengths, list) or not all(type(n) is int and n >= 0 for n in lengths):
        raise InvalidMessage("the header does not give its blobs")
    if sum(lengths) > max_blob_bytes:
        raise InvalidMessage(f"blobs of {sum(lengths)} bytes where {max_blob_bytes} are allowed")
    return header, lengths


def _receive_exactly(connection: socket.socket, n_bytes: int) -> bytearray:
    content = bytearray(n_bytes)
    view = memoryview(content)
    while view:
        received = connection.recv_into(view)
        if not received:
            raise Ended("closed in the middle of a message")
        view = view[received:]
    return content
