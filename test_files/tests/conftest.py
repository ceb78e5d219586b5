from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from fake_datarun import FakeDatarun


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[], FakeDatarun]], FakeDatarun]]:
    """Starts servers of the classes given to it."""
    with ExitStack() as stack:
        yield lambda make_server: stack.enter_context(contextmanager(make_server().serve)())
