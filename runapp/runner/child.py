"""The fresh process that runs one fold or split: ``python -P -m runapp.runner.child DESCRIPTOR``.

The request is on standard input; the result goes to the socket of that descriptor.
"""

import os
import resource
import sys
from pathlib import Path

from runapp.runner.job import FoldJob, Limits
from runapp.runner.request import decode_request
from runapp.runner.result_stream import ResultWriter

_OPEN_FILES = 1024
#: Private memory that Python and its libraries reserve beyond what they use.
_RESERVED_KB = 512 * 1024
#: The launcher keeps the deadline; this one holds if the launcher is gone.
_EXTRA_CPU_SECONDS = 60


def main(descriptor: int) -> None:
    job, limits = decode_request(sys.stdin.buffer.read())
    _close_request()
    # What the submission starts must not be able to hold the socket open or write to it.
    os.set_inheritable(descriptor, False)
    # A deadline kills without a goodbye: what was printed by then must have left.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    _set_limits(limits)
    # Imported under the limits, and not at all by the launcher, which wants Limits and no pandas.
    from runapp.runner.fold import run_fold, run_split

    writer = ResultWriter(descriptor)
    if isinstance(job, FoldJob):
        run_fold(job, writer)
    else:
        run_split(job, writer)


def _close_request() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for the life of the process


def _set_limits(limits: Limits) -> None:
    cpu_seconds = int(limits.wall_seconds * (os.cpu_count() or 1)) + _EXTRA_CPU_SECONDS
    for kind, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_DATA, (limits.memory_kb + _RESERVED_KB) * 1024),
        (resource.RLIMIT_FSIZE, limits.scratch_kb * 1024),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main(int(sys.argv[1]))
