"""The fold's own process: it locks itself down, then trains and tests.

Everything up to ``READY`` still holds the capabilities of the fold's user namespace; after
``_lock_down`` nothing of it is left, and only then anything of a submission or a data set is read.
"""

import os
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, TextIO

from threadpoolctl import ThreadpoolController

from runapp.runner.fold import run_split, run_workflow
from runapp.runner.isolation import lockdown, places, prepared_file, syscalls
from runapp.runner.isolation.fold_request import READY, FoldRequest
from runapp.runner.isolation.wire import FOLD, PREPARE, SPLIT
from runapp.runner.job import FoldJob, Limits, SplitJob
from runapp.runner.request import decode_request
from runapp.runner.result_stream import ResultWriter

#: The thread pools of the libraries that the server imported; found once, since finding them takes long.
thread_pools: ThreadpoolController | None = None

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
#: What a fold may read beside its scratch. Whatever is not there in the outer view does not matter.
_READABLE = (
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/sbin",
    "/etc",
    "/proc",
    "/opt",
    "/data",
    sys.prefix,
    sys.base_prefix,
)


def find_thread_pools() -> None:
    """Find the thread pools of the libraries imported so far, for the folds that are forked from here."""
    global thread_pools  # noqa: PLW0603 - a fold is a fork of this process
    thread_pools = ThreadpoolController()


def become_fold(keeper: int, feed: int, system_call_filter: bytes) -> NoReturn:
    """Run the request that comes from ``feed`` in this process, and end it.

    The process is in the tree that the process open as ``keeper`` keeps, and still in the zygote's other
    namespaces.
    """
    try:
        syscalls.set_name("fold")
        with socket.socket(fileno=feed) as connection:
            request = FoldRequest.receive(connection)
        result, output, ready, *given = request.descriptors
        try:
            lockdown.enter_namespaces(keeper)
            lockdown.mount_own_processes()
            descriptors = _keep_only(result, output, ready, given)
            job, limits = decode_request(bytes(request.blobs[0]))
            _lock_down(request, len(descriptors), limits, system_call_filter)
        except OSError as error:
            os.write(ready, str(error).encode()[:400])
            os._exit(1)
        os.write(_READY, READY)
        os.close(_READY)
        _run(request, job, descriptors, ResultWriter(_RESULT))
    except BaseException:  # noqa: BLE001 - there is nobody above to raise it to
        traceback.print_exc()
    finally:
        # No clean-up of the interpreter: it belongs to the zygote, and a submission may have broken it.
        _flush_output()
        os._exit(1)


_RESULT, _READY, _FIRST_GIVEN = 3, 4, 5


def _keep_only(result: int, output: int, ready: int, given: list[int]) -> list[int]:
    """Number them anew: input, output, error, result, ready, those of the request; close all others."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    wanted = [nothing, output, output, result, ready, *given]
    # First above all numbers in use, so that none overwrites another.
    lifted = [os.dup(descriptor) for descriptor in wanted]
    base = max((*lifted, *wanted)) + 1
    lifted = [os.dup2(descriptor, base + place, inheritable=False) for place, descriptor in enumerate(wanted)]
    for place, descriptor in enumerate(lifted):
        os.dup2(descriptor, place, inheritable=place < _RESULT)
    os.closerange(len(wanted), max(os.sysconf("SC_OPEN_MAX"), base + len(wanted)))
    return list(range(_FIRST_GIVEN, len(wanted)))


def _lock_down(request: FoldRequest, n_given: int, limits: Limits, system_call_filter: bytes) -> None:
    os.setsid()
    mapped_bytes = sum(
        os.fstat(descriptor).st_size for descriptor in range(_FIRST_GIVEN, _FIRST_GIVEN + n_given)
    )
    lockdown.limit_resources(
        memory_kb=limits.memory_kb,
        data_bytes=mapped_bytes,
        wall_seconds=limits.wall_seconds,
        processes=limits.processes,
        file_bytes=request.header["file_kb"] * 1024,
    )
    lockdown.drop_capabilities()
    lockdown.renounce_privileges()
    writable = [str(places.SCRATCH), str(places.SHARED_MEMORY), str(places.WORKING)]
    lockdown.restrict_files(_READABLE, writable)
    lockdown.refuse_system_calls(system_call_filter)


def _run(request: FoldRequest, job: FoldJob | SplitJob, descriptors: list[int], writer: ResultWriter) -> None:
    places.WORK.mkdir()
    os.chdir(places.WORK)
    sys.argv[:] = [""]
    _renew_standard_streams()
    _raise_threads(request.header["threads"])
    _WORKS[request.header["work"]](request, job, descriptors, writer)


def _renew_standard_streams() -> None:
    # Those of the server were opened on its log, and remember what that was.
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    # Line by line: a deadline kills without a goodbye, and what was printed by then must have left.
    sys.stdout = sys.__stdout__ = _open_output(1)  # type: ignore[misc, assignment]
    sys.stderr = sys.__stderr__ = _open_output(2)  # type: ignore[misc, assignment]


def _open_output(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _raise_threads(threads: int) -> None:
    """Let numerical libraries, also in processes started from here, use that many threads."""
    if threads > 1 and thread_pools is not None:
        thread_pools.limit(limits=threads)
        os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112 - a submission may have replaced or closed it
            continue


def _run_fold(request: FoldRequest, job: FoldJob, descriptors: list[int], writer: ResultWriter) -> None:
    files = dict(zip(request.header["files"], request.blobs[1:], strict=False))
    labels = bytes(request.blobs[-1])
    _write_submission(files)
    run_workflow(lambda: prepared_file.load_workflow(job, descriptors[0], request.header, labels), writer)


def _write_submission(files: dict[str, bytearray]) -> None:
    places.SUBMISSION.mkdir(parents=True)
    (places.SUBMISSION / "__init__.py").touch()
    for name, content in files.items():
        (places.SUBMISSION / name).write_bytes(content)


def _run_split(_: FoldRequest, job: SplitJob, __: list[int], writer: ResultWriter) -> None:
    run_split(job, writer)


def _prepare(_: FoldRequest, job: FoldJob, descriptors: list[int], writer: ResultWriter) -> None:
    prepared_file.prepare(job, descriptors, writer)


_WORKS: dict[str, Callable[..., None]] = {FOLD: _run_fold, SPLIT: _run_split, PREPARE: _prepare}
