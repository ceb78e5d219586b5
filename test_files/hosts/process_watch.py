"""Looks for secrets in the arguments of all processes, as any account of a machine could."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_PERIOD_SECONDS = 0.1


class ProcessWatch:
    """Looks as long as the context lasts.

    ``found`` holds the first words of command lines with a secret in them.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self.found: set[str] = set()
        self.n_looks = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_PERIOD_SECONDS):
            self.n_looks += 1
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    self._look(Path("/proc", entry, "cmdline"))

    def _look(self, place: Path) -> None:
        try:
            arguments = place.read_bytes()
        except OSError:
            return  # it ended meanwhile
        if any(secret in arguments for secret in self._secrets):
            self.found.add(b" ".join(arguments.split(b"\0")[:2]).decode(errors="replace"))
