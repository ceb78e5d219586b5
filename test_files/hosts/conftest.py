from collections.abc import Callable, Iterator

import pytest

from test_files.hosts.bases import SUITES
from test_files.hosts.cage import why_no_hosts
from test_files.hosts.deployment import Deployment
from test_files.hosts.site import Site

_REASON = why_no_hosts()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "test_files/hosts/" in item.path.as_posix():
            item.add_marker("hosts")
            item.add_marker("slow")
            if _REASON:
                item.add_marker(pytest.mark.skip(reason=_REASON))


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints where it is seen although the test passes."""

    def print_now(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    return print_now


@pytest.fixture(scope="session", params=list(SUITES))
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A master, two runners and the shared disk, deployed by the scripts; one Ubuntu after the other."""
    with Site(request.param) as site:
        yield Deployment.make(site)
