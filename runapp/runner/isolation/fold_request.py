"""The request of one fold: from the runner to its supervisor, and from there into the fold."""

import dataclasses
import socket
from typing import Any, Self

from runapp.runner.isolation import wire

#: Most bytes of a request: the submission's files, the training rows and their labels.
MAX_REQUEST_BYTES = 4 << 30
#: What a fold says to its supervisor once it is locked down, on the third of its descriptors.
READY = b"ready"


@dataclasses.dataclass(frozen=True)
class FoldRequest:
    """What is to be done, as the runner asked for it.

    In a fold the first three descriptors are its own: where its result, its output and ``READY`` go.
    """

    header: dict[str, Any]
    blobs: list[bytearray]
    descriptors: list[int]

    @classmethod
    def receive(cls, connection: socket.socket) -> Self:
        """Raises as ``wire.receive``."""
        message = wire.receive(
            connection, max_blob_bytes=MAX_REQUEST_BYTES, max_descriptors=wire.MAX_DESCRIPTORS
        )
        return cls(*message)

    def hand_on(self, connection: socket.socket, descriptors: list[int]) -> None:
        """Send it to the fold, with ``descriptors`` before its own."""
        wire.send(connection, self.header, self.blobs, [*descriptors, *self.descriptors])
