"""Folds and splits in a fresh process each, with limits but without isolation."""

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from runapp.environment import BASE_DIR
from runapp.parent_death import die_with_parent
from runapp.runner.job import (
    FoldJob,
    FoldReport,
    IsCancelled,
    Limits,
    OnOutput,
    OnStage,
    SplitJob,
    SplitReport,
    nobody_reads,
)  # fmt: skip
from runapp.runner.participant_log import compose_log
from runapp.runner.process_tree import ProcessTree
from runapp.runner.report import fold_report, split_report
from runapp.runner.request import encode_request
from runapp.runner.result_stream import ResultReader
from runapp.runner.scratch import Scratch, scratch
from runapp.runner.stage_measures import StageMeasures
from runapp.runner.supervision import Supervision

_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "BLIS")}


class FreshProcess:
    """Starts Python anew for every fold and split, with an environment of its own."""

    isolation = "none"

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
        with scratch() as folders:
            hidden = (folders.submission, folders.work, folders.root, job.data_folder)
            folders.copy_submission(job.submission_folder)
            inside = dataclasses.replace(job, submission_folder=folders.submission)
            with _started(encode_request(inside, limits), folders) as child:
                measures = StageMeasures(child.tree, on_stage)
                reader = ResultReader((job.n_train_rows, job.n_test_rows))
                supervision = child.supervision(
                    reader,
                    limits,
                    measures,
                    is_cancelled,
                    lambda text: on_output(compose_log("", text, hidden)),
                )
                ending = supervision.watch()
        return fold_report(job, ending, supervision.printed(), measures, hidden)

    def run_split(self, job: SplitJob, limits: Limits, *, is_cancelled: IsCancelled) -> SplitReport:
        """As ``Launcher``."""
        with scratch() as folders, _started(encode_request(job, limits), folders) as child:
            measures = StageMeasures(child.tree, lambda *_: None)
            supervision = child.supervision(ResultReader(None), limits, measures, is_cancelled)
            ending = supervision.watch()
        hidden = (folders.work, folders.root, job.working_folder, job.source_folder)
        return split_report(ending, supervision.printed(), hidden)


@dataclasses.dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[bytes]
    tree: ProcessTree
    result_descriptor: int
    output_descriptor: int

    def supervision(
        self,
        reader: ResultReader,
        limits: Limits,
        measures: StageMeasures,
        is_cancelled: IsCancelled,
        on_output: OnOutput = nobody_reads,
    ) -> Supervision:
        return Supervision(
            self.tree,
            pid=self.process.pid,
            result_descriptor=self.result_descriptor,
            output_descriptor=self.output_descriptor,
            reader=reader,
            limits=limits,
            measures=measures,
            is_cancelled=is_cancelled,
            on_output=on_output,
        )


@contextlib.contextmanager
def _started(request: bytes, folders: Scratch) -> Iterator[_Child]:
    """Start the process; at the end it and all that it started are gone."""
    with contextlib.ExitStack() as cleanup:
        ours, theirs = map(cleanup.enter_context, socket.socketpair())
        with theirs:
            process = _start(request, folders, theirs.fileno())
        cleanup.callback(process.wait)
        cleanup.callback(process.kill)
        tree = cleanup.enter_context(ProcessTree(process.pid))
        output = cleanup.enter_context(_output_of(process))
        yield _Child(process, tree, ours.fileno(), output)


def _start(request: bytes, folders: Scratch, result_descriptor: int) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile(dir=folders.root) as standard_input:
        standard_input.write(request)
        standard_input.seek(0)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "runapp.runner.child", str(result_descriptor)],
            stdin=standard_input,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folders.work,
            env=_environment(folders),
            pass_fds=[result_descriptor],
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - calls one function of C
        )


@contextlib.contextmanager
def _output_of(process: subprocess.Popen[bytes]) -> Iterator[int]:
    if process.stdout is None:
        raise ValueError("the process was started without a pipe for its output")
    with process.stdout as stream:
        yield stream.fileno()


def _environment(folders: Scratch) -> dict[str, str]:
    """All that a run sees of the environment: nothing of the runner's own."""
    work = str(folders.work)
    return {
        "PATH": os.defpath,
        "HOME": work,
        "TMPDIR": work,
        "JOBLIB_TEMP_FOLDER": work,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(BASE_DIR),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        **_ONE_THREAD,
    }
