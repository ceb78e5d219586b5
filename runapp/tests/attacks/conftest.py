"""A fold server for all attacks, and the proof after each that it goes on as before."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runapp.contract import Outcome
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.launcher import IsolatedProcess
from runapp.runner.isolation.prepared import PreparedDataSets
from runapp.runner.process import FreshProcess
from runapp.tests.attacks.sandbox import N_TEST, Sandbox, processes_of_folds, server_processes, write_data


@pytest.fixture(scope="session")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedProcess]:
    """A launcher on a fold server that all tests share."""
    folder = tmp_path_factory.mktemp("isolation")
    server = FoldServer(folder / "server", idle_seconds=600)
    yield IsolatedProcess(server, PreparedDataSets(folder / "prepared", max_bytes=1 << 30), isolation="full")
    server.close()


@pytest.fixture
def sandbox(isolated: IsolatedProcess, tmp_path: Path) -> Iterator[Sandbox]:
    """Isolated folds. Afterwards nothing of them is left, and the same server runs a plain fold as ever."""
    write_data(tmp_path / "data")
    sandbox = Sandbox(isolated, tmp_path)
    assert sandbox.run_plain().outcome is Outcome.OK
    before = server_processes()
    yield sandbox
    assert not processes_of_folds(), "something of the fold is left a second after its end"
    report = sandbox.run_plain()
    assert report.outcome is Outcome.OK, report.log_messages
    assert report.test_predictions is not None
    np.testing.assert_array_equal(report.test_predictions, np.full((N_TEST, 2), 0.5))
    assert server_processes() == before, "the server had to be started anew"


@pytest.fixture
def unprotected(tmp_path: Path) -> Sandbox:
    """The control: the same folds in a plain process. Only for attacks that harm nothing."""
    write_data(tmp_path / "data")
    return Sandbox(FreshProcess(), tmp_path)
