"""The end of what a process prints."""


class OutputTail:
    """Keeps the last ``kept_bytes`` and counts the rest.

    ``overflowed`` tells that more than ``max_bytes`` were printed in all.
    """

    def __init__(self, *, kept_bytes: int, max_bytes: int) -> None:
        self._kept_bytes = kept_bytes
        self._max_bytes = max_bytes
        self._tail = bytearray()
        self._n_bytes = 0

    def feed(self, chunk: bytes) -> None:
        self._n_bytes += len(chunk)
        self._tail += chunk
        del self._tail[: -self._kept_bytes]

    @property
    def n_bytes(self) -> int:
        """How many bytes were printed in all."""
        return self._n_bytes

    @property
    def overflowed(self) -> bool:
        return self._n_bytes > self._max_bytes

    def text(self, *, max_bytes: int | None = None) -> str:
        """The end of what was printed, at most ``max_bytes`` of what is kept of it."""
        end = self._tail if max_bytes is None else self._tail[-max_bytes:]
        text = end.decode(errors="replace")
        cut = self._n_bytes - len(end)
        return f"[{cut} bytes before this are not kept]\n{text}" if cut else text
