from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from test_files.hosts.bases import SUITES, why_no_packages
from test_files.hosts.cage import why_no_hosts
from test_files.hosts.deployment import HOSTS, Deployment
from test_files.hosts.folds import Folds
from test_files.hosts.network import address
from test_files.hosts.site import NUMBERS, Site

_REASON = why_no_hosts()
_NEWEST = max(SUITES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "test_files/hosts/" in item.path.as_posix():
            item.add_marker("hosts")
            item.add_marker("slow")
            if _release(item) not in (None, _NEWEST) and not item.get_closest_marker("each_ubuntu"):
                item.add_marker("thorough")
            if _REASON:
                item.add_marker(pytest.mark.skip(reason=_REASON))


def _release(item: pytest.Item) -> str | None:
    """The Ubuntu that a test looks at; None if it looks at none."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("deployment") if callspec else None


@pytest.fixture(scope="session", autouse=True)
def packages() -> None:
    """Tests that could not deploy anything are skipped."""
    if reason := why_no_packages():
        pytest.skip(reason)


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


@pytest.fixture
def operator_files(deployment: Deployment) -> Iterator[None]:
    """What a test writes into the operator's settings and list of runners is gone after it."""
    yield
    deployment.site.write_settings()
    deployment.site.write_list(*deployment.lines(), final_newline=False)
    (deployment.site.scripts / "master_address").write_text(address(NUMBERS["master"]) + "\n")


@pytest.fixture
def folds(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folds]:
    """Folds to be sent; afterwards all hosts are made to run again."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(deployment.certificate))
    yield Folds(deployment, tmp_path)
    for name in HOSTS:
        machine = deployment.machine(name)
        if not machine.is_on:
            machine.boot()
        machine.connect()
    deployment.wait_until_up()
