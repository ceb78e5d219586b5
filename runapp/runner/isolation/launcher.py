"""The runner's end of the isolation: sends jobs to the fold server and reads what became of them."""

import contextlib
import dataclasses
import os
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runapp.content import read_folder, read_regular
from runapp.contract import MAX_PREDICTIONS, SPECIFIC_FILE, TEST_FILE, TRAIN_FILE, Outcome, State
from runapp.errors import DatarunError, InvalidMessage
from runapp.runner.isolation import labels, places, wire
from runapp.runner.isolation.host import FoldServer
from runapp.runner.isolation.lending import Allowance, lent, size_bytes
from runapp.runner.isolation.prepared import DATA_FILE, LABELS_FILE, PreparedData, PreparedDataSets
from runapp.runner.isolation.view import Folder
from runapp.runner.isolation.wire import FOLD, PREPARE, SPLIT
from runapp.runner.job import (
    CANCEL_POLL_SECONDS,
    FoldJob,
    FoldReport,
    IsCancelled,
    Limits,
    Measures,
    OnOutput,
    OnStage,
    SplitJob,
    SplitReport,
    nobody_reads,
)  # fmt: skip
from runapp.runner.request import encode_request

#: How long after a fold's deadline its report must have come.
_REPORT_GRACE_SECONDS = 20.0
_MAX_REPORT_BYTES = 2 * MAX_PREDICTIONS * 8
#: What is made from a data set may be so many times as large as all its files, and so many kB larger.
_DATA_FILE_GROWTH, _DATA_FILE_KB = 16, 1 << 20


class PreparationFailed(DatarunError):
    """The data set could not be prepared for folds."""

    code = "preparation_failed"

    def __init__(self, report: FoldReport) -> None:
        super().__init__()
        self.report = report


@dataclasses.dataclass(frozen=True)
class _Request:
    """What to send: the kind of work, the job, blobs after it, descriptors."""

    work: str
    job: FoldJob | SplitJob
    limits: Limits
    file_kb: int
    blobs: Sequence[bytes] = ()
    descriptors: Sequence[int] = ()
    more: dict[str, Any] = dataclasses.field(default_factory=dict)

    def send(self, connection: socket.socket) -> None:
        header = {"work": self.work, "file_kb": self.file_kb, "threads": 1, **self.more}
        wire.send(connection, header, [encode_request(self.job, self.limits), *self.blobs], self.descriptors)


class IsolatedProcess:
    """Runs each fold in its own namespaces, forked from a warm server. A ``Launcher``.

    Parameters
    ----------
    isolation:
        The level that the canary measured on this host.
    threads:
        Threads that the numerical libraries of a fold may use.
    """

    def __init__(
        self, server: FoldServer, data_sets: PreparedDataSets, *, isolation: str, threads: int = 1
    ) -> None:
        self._server = server
        self._data_sets = data_sets
        self._threads = threads
        self.isolation = isolation

    def run_fold(
        self,
        job: FoldJob,
        limits: Limits,
        *,
        on_stage: OnStage,
        is_cancelled: IsCancelled,
        on_output: OnOutput = nobody_reads,
    ) -> FoldReport:
        """As ``Launcher``."""
        try:
            # For every fold of the data set and once only: no work of this fold, whose limits may be tight.
            of_runner = limits.of_runner or limits
            prepared = self._data_sets.get(
                job, lambda folder: self._prepare(job, of_runner, folder, is_cancelled)
            )
            request = _fold_request(job, limits, prepared, self._threads)
        except PreparationFailed as failure:
            return _data_failure(failure.report)
        except InvalidMessage as error:
            return FoldReport(outcome=Outcome.DATA_ERROR, log_messages=error.message)
        try:
            with self._server.fold_connection() as connection:
                header, blobs = _converse(connection, request, on_stage, is_cancelled, on_output)
        finally:
            for descriptor in request.descriptors:
                os.close(descriptor)
        return _read_fold_report(header, blobs)

    def run_split(self, job: SplitJob, limits: Limits, *, is_cancelled: IsCancelled) -> SplitReport:
        """As ``Launcher``."""
        shown = [
            Folder(job.source_folder, places.SOURCE),
            Folder(job.working_folder, places.WORKING, writable=True),
        ]
        inside = dataclasses.replace(job, source_folder=places.SOURCE, working_folder=places.WORKING)
        max_kb = _data_file_kb(job.source_folder)
        request = _Request(SPLIT, inside, limits, max_kb)
        allowance = Allowance(job.working_folder, max_kb)
        with lent(job.working_folder), self._server.one_shot_connection(shown) as connection:
            must_stop = lambda: allowance.is_exceeded() or is_cancelled()  # noqa: E731 - of this call alone
            header, _ = _converse(connection, request, _ignore_stage, must_stop)
            allowance.look()
        if allowance.exceeded:
            return SplitReport(outcome=Outcome.DATA_ERROR, log_messages=allowance.exceeded)
        return SplitReport(**{**header, "outcome": Outcome(header["outcome"])})

    def _prepare(self, job: FoldJob, limits: Limits, folder: Path, is_cancelled: IsCancelled) -> None:
        """Parse the job's data set, inside the sandbox, into files in ``folder``."""
        with contextlib.ExitStack() as stack:
            outputs = [DATA_FILE] if job.custom else [DATA_FILE, LABELS_FILE]
            written = [stack.enter_context(open(folder / name, "xb")).fileno() for name in outputs]
            if job.custom:
                connection = stack.enter_context(
                    self._server.one_shot_connection([Folder(job.data_folder, places.SOURCE)])
                )
                read = []
            else:
                connection = stack.enter_context(self._server.fold_connection())
                files = (job.data_folder / name for name in (TRAIN_FILE, TEST_FILE))
                read = [stack.enter_context(open(file, "rb")).fileno() for file in files]
            file_kb = _data_file_kb(job.data_folder)
            request = _Request(PREPARE, job, limits, file_kb, descriptors=[*read, *written])
            report = _read_fold_report(*_converse(connection, request, _ignore_stage, is_cancelled))
            for descriptor in written:
                # Pages that wait to be written would count as memory of the folds that map them.
                os.fsync(descriptor)
        if report.outcome is not Outcome.OK:
            raise PreparationFailed(report)


def _fold_request(job: FoldJob, limits: Limits, prepared: PreparedData, threads: int) -> _Request:
    files = read_folder(job.submission_folder)
    more: dict[str, Any] = {"files": list(files), "threads": threads}
    if job.custom:
        last = read_regular(job.data_folder / SPECIFIC_FILE)
    else:
        more["labels_dtype"], last = labels.cut(prepared.labels(job.n_train_rows), job.train_is)
    return _Request(
        FOLD, job, limits, limits.scratch_kb, [*files.values(), last], [prepared.open_data()], more
    )


def _data_file_kb(folder: Path) -> int:
    return _DATA_FILE_GROWTH * size_bytes(folder) // 1024 + _DATA_FILE_KB


def _converse(
    connection: socket.socket,
    request: _Request,
    on_stage: OnStage,
    is_cancelled: IsCancelled,
    on_output: OnOutput = nobody_reads,
) -> tuple[dict[str, Any], list[bytearray]]:
    """Send a request and wait for its report; leaving the connection ends whatever it started.

    Raises
    ------
    OSError
        If the sandbox cannot be made, or its supervisor is gone.
    """
    request.send(connection)
    deadline = time.monotonic() + request.limits.wall_seconds + _REPORT_GRACE_SECONDS
    cancelled = False
    while time.monotonic() < deadline:
        readable, _, _ = select.select([connection], [], [], CANCEL_POLL_SECONDS)
        if not readable:
            if not cancelled and is_cancelled():
                cancelled = True
                connection.shutdown(socket.SHUT_WR)
            continue
        header, blobs, _ = wire.receive(connection, max_blob_bytes=_MAX_REPORT_BYTES)
        if "refused" in header:
            raise OSError(header["refused"])
        if "printed" in header:
            on_output(str(header["printed"]))
        elif "stage" in header:
            on_stage(State(header["stage"]), header["at"])
        else:
            return header, blobs
    raise OSError("the fold's supervisor does not report")


def _read_fold_report(header: dict[str, Any], blobs: list[bytearray]) -> FoldReport:
    shapes = [tuple(shape) for shape in header.pop("shapes")]
    arrays = [
        np.frombuffer(blob, dtype="<f8").reshape(shape) for blob, shape in zip(blobs, shapes, strict=True)
    ]
    train, test = arrays or (None, None)
    values = {**header, "outcome": Outcome(header["outcome"]), "measures": Measures(**header["measures"])}
    return FoldReport(**{**values, "full_train_predictions": train, "test_predictions": test})


def _data_failure(report: FoldReport) -> FoldReport:
    """The report of a fold whose data could not be prepared: no fault of its submission."""
    if report.outcome in (Outcome.CANCELLED, Outcome.LOST, Outcome.TIMEOUT):
        return report
    words = f"The data set could not be prepared for folds. {report.log_messages}"
    return FoldReport(outcome=Outcome.DATA_ERROR, log_messages=words)


def _ignore_stage(_: State, __: float) -> None:
    """A split or a preparation has no stages that anybody waits for."""
