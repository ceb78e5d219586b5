"""Real folds in fresh processes, and every way in which one can end."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.linear_model import LogisticRegression

from runapp.contract import SOFT_TIME_LIMIT_WORDS, Outcome, State
from runapp.runner.process import FreshProcess
from runapp.tests.runner.conftest import (
    CLASSIFIER,
    LIMITS,
    DataSet,
    RunFold,
    Submit,
    fold_job,
    predictions_of,
)

pytestmark = pytest.mark.usefixtures("no_process_left")


@pytest.fixture(scope="session")
def start_seconds(iris: DataSet, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long a fold takes on this machine before the submission's code runs."""
    folder = tmp_path_factory.mktemp("empty")
    begin = time.monotonic()
    FreshProcess().run_fold(
        fold_job(iris, folder), LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False
    )
    return time.monotonic() - begin


def fit(body: str) -> str:
    """A classifier whose ``fit`` runs these lines first."""
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    return CLASSIFIER.replace("    def fit(self, X, y):\n", f"    def fit(self, X, y):\n{lines}\n")


def test_a_fold_equals_the_same_training_in_process(iris: DataSet, submit: Submit) -> None:
    stages: list[tuple[State, float]] = []
    before = time.time()
    report = FreshProcess().run_fold(
        fold_job(iris, submit({"classifier.py": CLASSIFIER})),
        LIMITS,
        on_stage=lambda state, at: stages.append((state, at)),
        is_cancelled=lambda: False,
    )

    assert report.outcome is Outcome.OK
    assert report.log_messages == ""
    X, y, X_test = training_arrays(iris)
    model = LogisticRegression(max_iter=1000).fit(X[:80], y[:80])
    full_train_predictions, test_predictions = predictions_of(report)
    assert np.array_equal(full_train_predictions, model.predict_proba(X))
    assert np.array_equal(test_predictions, model.predict_proba(X_test))
    assert stages == [(State.TRAINED, report.trained_at), (State.VALIDATED, report.validated_at)]
    times = [before, *(at for _, at in stages), report.tested_at or 0.0, time.time()]
    assert times == sorted(times)


def training_arrays(data: DataSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, test = (pd.read_csv(data.folder / name) for name in ("train.csv", "test.csv"))
    X, X_test = (part.drop(columns=data.target_column).to_numpy() for part in (train, test))
    return X, train[data.target_column].to_numpy(), X_test


def test_measures_are_those_of_each_step(run_classifier: RunFold) -> None:
    code = """
import time
import numpy as np

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

class Classifier:
    def fit(self, X, y):
        np.ones(40_000_000)  # 305 MB for a moment
        burn(0.4)

    def predict_proba(self, X):
        if len(X) == 30:
            time.sleep(3)
        return np.ones((len(X), 3))
"""
    measures = run_classifier(code).measures
    assert measures.train_time >= 0.4
    assert 0.4 <= measures.train_cpu_time <= measures.train_time + 0.2
    assert measures.validation_time < 3 <= measures.test_time
    assert measures.test_cpu_time < 2
    assert measures.train_memory > measures.test_memory + 200 * 1024
    assert measures.test_memory > 20 * 1024


def test_cpu_time_counts_what_child_processes_used(run_classifier: RunFold) -> None:
    code = fit("""
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"])
""")
    report = run_classifier(code)
    assert report.outcome is Outcome.OK
    assert report.measures.train_cpu_time >= 0.45


def test_a_submission_without_seeds_is_repeatable(iris: DataSet, submit: Submit) -> None:
    code = """
import random
import numpy as np

class Classifier:
    def fit(self, X, y):
        pass

    def predict_proba(self, X):
        return np.random.rand(len(X), 2) + random.random()
"""
    job = fold_job(iris, submit({"classifier.py": code}))
    first, again = (
        FreshProcess().run_fold(job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)
        for _ in range(2)
    )
    assert np.array_equal(predictions_of(first)[1], predictions_of(again)[1])


def test_an_error_of_the_submission_shows_its_own_lines_and_nothing_of_the_machine(
    run_classifier: RunFold,
) -> None:
    report = run_classifier(fit("print('got', X.shape)\nopen('missing.txt')\n"))
    assert report.outcome is Outcome.USER_ERROR
    log = report.log_messages
    assert 'File "classifier.py", line 7, in fit' in log
    assert "open('missing.txt')" in log
    assert "FileNotFoundError" in log
    assert log.endswith("got (80, 4)")
    assert "runapp" not in log
    assert not re.search(r"/(tmp|work|usr|home|root)\b", log)


def test_an_error_within_a_library_shows_its_frames_without_paths(run_classifier: RunFold) -> None:
    report = run_classifier(fit("X = X[:0]"))
    assert report.outcome is Outcome.USER_ERROR
    assert 'File "sklearn/' in report.log_messages
    assert "site-packages" not in report.log_messages


def test_predictions_that_cannot_be_used_are_bad_output(run_classifier: RunFold) -> None:
    report = run_classifier(f"{CLASSIFIER}\nClassifier.predict_proba = lambda self, X: [0.5]")
    assert report.outcome is Outcome.BAD_OUTPUT
    assert "predict_proba of Classifier must return 120 rows" in report.log_messages
    assert report.full_train_predictions is None
    assert report.trained_at is not None
    assert report.validated_at is None


@pytest.mark.parametrize(
    "body",
    [
        "print('begun')\nwhile True: pass",
        "print('begun')\nimport signal, time\n"
        "for s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\ntime.sleep(600)",
        "print('begun')\nimport os\nos.kill(os.getpid(), 19)",
        "print('begun')\nimport os, time\nos.closerange(0, 200)\ntime.sleep(600)",
        "print('begun')\nimport ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\nctypes.CDLL(None).pthread_exit(None)",
    ],
    ids=["endless", "ignoring signals", "stopped", "all closed", "without its first thread"],
)
def test_a_fold_ends_at_its_deadline(run_classifier: RunFold, start_seconds: float, body: str) -> None:
    wall_seconds = round(2 + 3 * start_seconds, 1)
    report = run_classifier(fit(body), wall_seconds=wall_seconds)
    assert report.outcome is Outcome.TIMEOUT
    words = f"{SOFT_TIME_LIMIT_WORDS}: killed after {wall_seconds:g} s, the limit of this runner."
    assert report.log_messages.startswith(words)
    assert report.log_messages.endswith("begun")


def test_memory_that_is_touched_is_counted(run_classifier: RunFold) -> None:
    code = fit("import numpy as np\nkept = []\nwhile True: kept.append(np.ones(1_000_000))")
    report = run_classifier(code, memory_kb=400 * 1024)
    assert report.outcome is Outcome.MEMORY
    assert "400 MB are allowed" in report.log_messages


def test_memory_of_several_processes_is_counted_together(run_classifier: RunFold) -> None:
    code = fit("""
import os, time, numpy as np
for _ in range(4):
    if os.fork() == 0:
        kept = np.ones(20_000_000)
        time.sleep(600)
time.sleep(600)
""")
    report = run_classifier(code, memory_kb=500 * 1024)
    assert report.outcome is Outcome.MEMORY


def test_memory_asked_for_at_once_is_refused(run_classifier: RunFold) -> None:
    report = run_classifier(fit("import numpy as np\nnp.ones(6_000_000_000)"), memory_kb=400 * 1024)
    assert report.outcome is Outcome.MEMORY
    assert "line 7, in fit" in report.log_messages


def test_endless_output_is_stopped_and_its_end_kept(run_classifier: RunFold) -> None:
    code = fit("while True: print('x' * 1000)")
    report = run_classifier(code, output_max_bytes=3 * 1024 * 1024)
    assert report.outcome is Outcome.OUTPUT_LIMIT
    assert "more than 3 MB" in report.log_messages
    assert "bytes before this are not kept" in report.log_messages
    assert 64 * 1024 <= len(report.log_messages) < 70 * 1024


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import os\nos._exit(0)", "ended by itself, with code 0"),
        ("import os\nos._exit(3)", "ended by itself, with code 3"),
        ("import os\nos.kill(os.getpid(), 9)", "SIGKILL"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import os\nos.kill(os.getpid(), 40)", "signal 40"),
    ],
)
def test_a_process_that_dies_is_a_crash(run_classifier: RunFold, body: str, words: str) -> None:
    report = run_classifier(fit(f"print('begun')\n{body}"))
    assert report.outcome is Outcome.CRASH
    assert words in report.log_messages
    assert report.log_messages.endswith("begun")


def test_too_many_processes_are_stopped(run_classifier: RunFold) -> None:
    code = fit(
        "import os, time\nfor _ in range(30):\n    if os.fork() == 0: time.sleep(600)\ntime.sleep(600)"
    )
    report = run_classifier(code, processes=16)
    assert report.outcome is Outcome.CRASH
    assert "16 are allowed" in report.log_messages


def test_cancelling_kills_a_running_fold_at_once(run_classifier: RunFold, tmp_path: Path) -> None:
    started = tmp_path / "started"
    asked_at: list[float] = []

    def is_cancelled() -> bool:
        if started.exists() and not asked_at:
            asked_at.append(time.monotonic())
        return bool(asked_at)

    code = fit(f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(600)")
    report = run_classifier(code, is_cancelled=is_cancelled)
    assert report.outcome is Outcome.CANCELLED
    assert time.monotonic() - asked_at[0] < 1.0


DAEMON = """
import os, pathlib, sys, time
os.setsid()
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()}.")
time.sleep(600)
"""


def test_a_daemon_that_a_fold_leaves_behind_is_gone(run_classifier: RunFold, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = fit(f"""
import os, subprocess, sys, time, pathlib
note = pathlib.Path({str(note)!r})
if os.fork() == 0:
    subprocess.Popen([sys.executable, "-c", {DAEMON!r}, str(note)], env={{}})
    os._exit(0)
os.wait()
while not note.exists() or not note.read_text().endswith("."): time.sleep(0.01)
""")
    report = run_classifier(code)
    assert report.outcome is Outcome.OK, report.log_messages
    assert not psutil.pid_exists(int(note.read_text().rstrip(".")))


def test_a_grandchild_that_holds_the_pipes_does_not_hold_the_runner(run_classifier: RunFold) -> None:
    code = fit("import os, time\nif os.fork() == 0: time.sleep(600)\nos._exit(1)")
    assert run_classifier(code).outcome is Outcome.CRASH


FORGERIES = {
    "printed": 'print(\'{"outcome": "ok", "rows": [1, 1]}\', flush=True); os._exit(0)',
    "endless header": "while True: send(b'\\x7f' * 100000)",
    "pickle": "send(frame(pickle.dumps([1]))); time.sleep(600)",
    "stages again": "while True: send(frame(json.dumps({'stage': 'trained'})))",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_result_is_a_crash(run_classifier: RunFold, forgery: str) -> None:
    code = fit(f"""
import json, os, pickle, socket, stat, time
result = next(fd for fd in range(3, 50) if is_socket(fd))
def send(content):
    while content:
        content = content[os.write(result, content):]
def frame(header):
    header = header if isinstance(header, bytes) else header.encode()
    return len(header).to_bytes(4, "big") + header
{forgery}
""")
    code = f"""
import os, stat
def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
{code}"""
    report = run_classifier(code)
    assert report.outcome is Outcome.CRASH, report.log_messages
    assert report.test_predictions is None


def test_the_environment_holds_nothing_of_the_runner(
    run_classifier: RunFold,
) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DR_BROKER_PASSWORD", "a-real-password")
        report = run_classifier(fit("import os\nprint(sorted(os.environ), os.getcwd(), os.listdir())"))
    assert report.outcome is Outcome.OK
    assert "DR_" not in report.log_messages
    assert "'OMP_NUM_THREADS'" in report.log_messages
    assert report.log_messages.endswith("[]")


def test_nothing_of_a_fold_stays_on_the_disk(
    run_classifier: RunFold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    code = fit("""
import os, tempfile
os.mkdir("deep")
open("deep/file", "w").close()
os.symlink("/etc", "deep/link")
os.chmod("deep", 0)
tempfile.mkstemp()
""")
    assert run_classifier(code).outcome is Outcome.OK
    assert list((tmp_path / "temporary").iterdir()) == []
    assert Path("/etc/passwd").exists()


def test_control_characters_do_not_reach_the_database(run_classifier: RunFold) -> None:
    report = run_classifier(fit("print('a\\0b', '\\udcff')\nraise ValueError('\\ud800')"))
    assert "\0" not in report.log_messages
    report.log_messages.encode()


def test_data_that_are_gone_are_a_data_error(iris: DataSet, submit: Submit, tmp_path: Path) -> None:
    job = fold_job(iris, submit({"classifier.py": CLASSIFIER}), data_folder=tmp_path)
    report = FreshProcess().run_fold(job, LIMITS, on_stage=lambda *_: None, is_cancelled=lambda: False)
    assert report.outcome is Outcome.DATA_ERROR
    assert "train.csv" in report.log_messages


def test_a_runner_that_cannot_start_python_does_not_blame_the_submission(
    run_classifier: RunFold, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("runapp.runner.process.BASE_DIR", tmp_path)
    report = run_classifier(CLASSIFIER)
    assert report.outcome is Outcome.LOST
    assert "could not start the fold" in report.log_messages


def test_what_interrupts_the_runner_ends_the_fold(run_classifier: RunFold) -> None:
    class Interrupted(Exception):
        pass

    def interrupt() -> bool:
        raise Interrupted

    with pytest.raises(Interrupted):
        run_classifier(fit("import time\ntime.sleep(600)"), is_cancelled=interrupt)


def test_parallel_training_works(run_classifier: RunFold) -> None:
    code = """
from sklearn.ensemble import RandomForestClassifier
from joblib import Parallel, delayed

def square(i):
    return i * i

class Classifier:
    def fit(self, X, y):
        assert Parallel(n_jobs=2)(delayed(square)(i) for i in range(4)) == [0, 1, 4, 9]
        self.model = RandomForestClassifier(n_estimators=10, n_jobs=2, random_state=0).fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
"""
    report = run_classifier(code)
    assert report.outcome is Outcome.OK, report.log_messages


def test_between_folds_the_runner_adopts_nobodys_processes(run_classifier: RunFold) -> None:
    assert run_classifier(CLASSIFIER).outcome is Outcome.OK
    starter = (
        "import subprocess, sys; print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid)"
    )
    started = subprocess.run([sys.executable, "-c", starter], stdout=subprocess.PIPE, check=True, text=True)
    orphan = psutil.Process(int(started.stdout))
    try:
        assert orphan.ppid() != os.getpid()
    finally:
        orphan.kill()
