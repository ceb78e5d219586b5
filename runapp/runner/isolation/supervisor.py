"""One fold from its request to its report: its namespaces, its processes, its limits.

The supervisor is a process of its own, forked from the server. It is outside the fold's process
namespace, so nothing that a fold does can name it. The fold's first process there is a ``cat`` that reads
a pipe whose other end only the supervisor holds: when either of the two ends, so does everything.
"""

import dataclasses
import os
import select
import signal
import socket
import traceback
from collections.abc import Sequence
from typing import Any

from runapp.runner.isolation import inside, lockdown, places, wire
from runapp.runner.isolation.tree import NamespaceTree
from runapp.runner.job import FoldJob, Limits, OnOutput, SplitJob, nobody_reads
from runapp.runner.participant_log import compose_log
from runapp.runner.report import fold_report, split_report
from runapp.runner.request import decode_request
from runapp.runner.result_stream import ResultReader
from runapp.runner.stage_measures import StageMeasures
from runapp.runner.supervision import Ending, Supervision

#: Most bytes of a request: the submission's files, the training rows and their labels.
MAX_REQUEST_BYTES = 4 << 30
_KEEPER_PROGRAM = "/bin/cat"


@dataclasses.dataclass(frozen=True)
class Request:
    """What the runner asks for, as it came over the connection."""

    header: dict[str, Any]
    blobs: list[bytearray]
    descriptors: list[int]

    @classmethod
    def receive(cls, connection: socket.socket) -> "Request":
        return cls(
            *wire.receive(connection, max_blob_bytes=MAX_REQUEST_BYTES, max_descriptors=wire.MAX_DESCRIPTORS)
        )


def serve(connection: socket.socket, system_call_filter: bytes) -> None:
    """Answer the one request of a connection; returns when everything of its fold is gone."""
    wire.send(connection, {"accepted": True})
    try:
        request = Request.receive(connection)
        job, limits = decode_request(bytes(request.blobs[0]))
        lockdown.enter_namespaces()
        lockdown.mount_scratch(limits.scratch_kb)
    except wire.Ended:
        return
    except (OSError, ValueError) as error:
        wire.send(connection, {"refused": f"the fold's sandbox cannot be made: {error}"})
        return
    processes = _Processes(request, limits, system_call_filter)
    try:
        tree = processes.tree(limits.memory_kb)
        measures = StageMeasures(tree, lambda state, at: _tell(connection, {"stage": state, "at": at}))
        supervision = Supervision(
            tree,
            pid=processes.fold_pid,
            result_descriptor=processes.result,
            output_descriptor=processes.output,
            reader=_reader(job, request.header["work"]),
            limits=limits,
            measures=measures,
            is_cancelled=lambda: _is_closed(connection),
            on_output=_teller(connection) if request.header["work"] == wire.FOLD else nobody_reads,
        )
        ending = supervision.watch()
    finally:
        processes.end()
    _report(connection, job, ending, supervision.printed(), measures)


class _Processes:
    """The processes of one fold and the pipes to them."""

    def __init__(self, request: Request, limits: Limits, system_call_filter: bytes) -> None:
        lockdown.keep_ptrace_capability_over_exec()
        life, self._life = os.pipe()
        self._keeper_pid = _spawn_keeper(life)
        os.close(life)
        ours, theirs = socket.socketpair()
        self.result, result_end = ours.detach(), theirs.detach()
        self.output, output_end = os.pipe()
        self._ready, ready_end = os.pipe()
        self.fold_pid = os.fork()
        if self.fold_pid == 0:
            inside.become_fold(request, limits, system_call_filter, result_end, output_end, ready_end)
        for descriptor in (result_end, output_end, ready_end, *request.descriptors):
            os.close(descriptor)
        request.blobs.clear()

    def tree(self, allowed_kb: int) -> NamespaceTree:
        """The processes as the /proc shows them that the fold mounts first of all.

        Raises
        ------
        OSError
            If the fold did not get that far.
        """
        words = os.read(self._ready, select.PIPE_BUF)
        if words != inside.READY:
            raise OSError(
                f"the fold's sandbox cannot be made: {words.decode(errors='replace') or 'it ended at once'}"
            )
        proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return NamespaceTree(proc, self._keeper_pid, allowed_kb)

    def end(self) -> None:
        """Kill whatever is left; when this returns, no process of the fold exists."""
        os.kill(self._keeper_pid, signal.SIGKILL)
        # The keeper ends last, and only once the fold, whose parent lives outside, has been waited for.
        os.waitpid(self.fold_pid, 0)
        os.waitpid(self._keeper_pid, 0)


def _reader(job: FoldJob | SplitJob, work: str) -> ResultReader:
    if isinstance(job, FoldJob) and work == wire.FOLD:
        return ResultReader((job.n_train_rows, job.n_test_rows))
    return ResultReader(None)


def _spawn_keeper(life: int) -> int:
    # Ignored, this signal makes the kernel bury the orphans that the keeper is given; exec keeps that.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, life, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        return os.posix_spawn(_KEEPER_PROGRAM, [_KEEPER_PROGRAM], {}, file_actions=actions)
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _is_closed(connection: socket.socket) -> bool:
    """Whether the runner hung up: it sends nothing after its request."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable)


def _tell(connection: socket.socket, header: dict[str, Any], blobs: Sequence[Any] = ()) -> None:
    # A runner that is gone needs no answer; its fold ends when it is next asked whether it is cancelled.
    try:
        wire.send(connection, header, blobs)
    except (BrokenPipeError, ConnectionResetError):
        return


def _teller(connection: socket.socket) -> OnOutput:
    """Tells the runner what the fold prints; one that does not listen at the moment is not waited for."""

    def tell(text: str) -> None:
        _, writable, _ = select.select([], [connection], [], 0)
        if writable:
            _tell(connection, {"printed": compose_log("", text, places.HIDDEN)})

    return tell


def _report(
    connection: socket.socket, job: FoldJob | SplitJob, ending: Ending, printed: str, measures: StageMeasures
) -> None:
    if isinstance(job, SplitJob):
        return _tell(connection, dataclasses.asdict(split_report(ending, printed, places.HIDDEN)))
    report = fold_report(job, ending, printed, measures, places.HIDDEN)
    arrays = [
        array for array in (report.full_train_predictions, report.test_predictions) if array is not None
    ]
    plain = dataclasses.replace(report, full_train_predictions=None, test_predictions=None)
    header = {**dataclasses.asdict(plain), "shapes": [array.shape for array in arrays]}
    return _tell(connection, header, [array.tobytes() for array in arrays])


def run(connection: socket.socket, system_call_filter: bytes) -> None:
    """``serve`` in a process of its own, which ends here."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        serve(connection, system_call_filter)
        code = 0
    except BaseException:  # noqa: BLE001 - the runner learns of it by the connection's end, people by the server's log
        traceback.print_exc()
    finally:
        os._exit(code)
