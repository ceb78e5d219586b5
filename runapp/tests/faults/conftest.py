"""A datarun with many short folds in flight, to which a test does harm."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from runapp.contract import RUNNER_QUEUES
from runapp.tests.faults.flight import Flight, FlightPlan
from test_files.examples import STANDARD_EXAMPLES
from test_files.services import Services
from test_files.stack import Stack

LEASE_SECONDS = 3
#: After this long a task's message is taken from its runner: less than the folds last that test it.
CONSUMER_TIMEOUT_SECONDS = 5
_SHARED_DISK_MB = 64
#: What the mounted disk is called.
_DISK = "faults"

_VARIABLES = {
    "DR_LEASE_SECONDS": str(LEASE_SECONDS),
    "DR_RECOVER_SECONDS": "1",
    "DR_MIN_FREE_MB": "2",
    "DR_STOP_SECONDS": "3",
}


@pytest.fixture(scope="session")
def small_disk(services: Services) -> Iterator[Path | None]:
    """The shared disk as a small one of its own, where this user may mount one."""
    folder = Path(services.environment["DIR_SUBMISSION"])
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        yield None
        return
    _unmount_abandoned()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SHARED_DISK_MB}m", _DISK, folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _unmount_abandoned() -> None:
    """Unmount the disks of runs that were killed; their folders are named for the process that made them."""
    for line in Path("/proc/mounts").read_text().splitlines():
        source, place = line.split()[:2]
        starter = re.search(r"datarun-services-(\d+)-", place)
        if source == _DISK and starter and not Path(f"/proc/{starter[1]}").exists():
            subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    with Services(consumer_timeout_seconds=CONSUMER_TIMEOUT_SECONDS) as services:
        yield services


@pytest.fixture(scope="session")
def harmed(services: Services, small_disk: Path | None) -> Iterator[Stack]:
    """datarun on real services with two runners for all queues, one fold at a time each."""
    with Stack(services, runners=(RUNNER_QUEUES, RUNNER_QUEUES), variables=_VARIABLES) as stack:
        yield stack


@pytest.fixture(scope="session")
def iris_id(harmed: Stack) -> int:
    example = STANDARD_EXAMPLES[0]
    data = harmed.client().post_data(
        "iris_of_the_faults", example.target_column, example.workflow_elements, example.files
    )
    return int(data["id"])


@pytest.fixture(autouse=True)
def everything_runs(harmed: Stack) -> Iterator[None]:
    """What a test stopped and killed runs again before the next test."""
    yield
    for process in (*harmed.services.processes, *harmed.processes):
        if process.is_running():
            process.signal(signal.SIGCONT)
        else:
            process.start()
            process.wait_until_ready()


@pytest.fixture
def fly(harmed: Stack, iris_id: int, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Flight]:
    """Post folds and wait until a part of them is finished; the rest is in flight then."""

    def fly(plan: FlightPlan | None = None) -> Flight:
        flight = Flight(harmed, iris_id, tmp_path, plan or FlightPlan())
        flight.start()
        request.node.stash[_FLIGHT] = flight
        return flight

    return fly


_FLIGHT = pytest.StashKey[Flight]()
#: Goes with the report of a test, also from another process.
_RECOVERY = "recovery"


@pytest.fixture(autouse=True)
def note_recovery(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    flight = request.node.stash.get(_FLIGHT, None)
    if flight is not None and flight.recovery:
        request.node.user_properties.append((_RECOVERY, flight.recovery))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes wrote last, where a test failed."""
    report = yield
    harmed = getattr(item, "funcargs", {}).get("harmed")
    if report.failed and harmed is not None:
        report.sections += [(process.name, process.log_end()) for process in harmed.processes]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    recoveries = [
        (value, report.nodeid.partition("::test_")[2].partition("@")[0])
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == _RECOVERY
    ]
    if recoveries:
        terminalreporter.section("recovery from faults")
        for recovery, name in recoveries:
            terminalreporter.write_line(f"{recovery}  {name.replace('_', ' ')}")
