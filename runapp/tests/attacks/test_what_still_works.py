"""What submissions do for good reasons works inside."""

import importlib.util

import pytest

from runapp.contract import Outcome
from runapp.tests.attacks.sandbox import Sandbox

WORKING = {
    "forest on two threads": """
        from sklearn.ensemble import RandomForestClassifier
        RandomForestClassifier(n_estimators=20, n_jobs=2).fit(X, y).predict_proba(X)
    """,
    "loky": """
        from joblib import Parallel, delayed
        from operator import neg
        assert Parallel(n_jobs=2)(delayed(neg)(i) for i in range(8)) == [-i for i in range(8)]
    """,
    "loky with large arrays": """
        from joblib import Parallel, delayed
        big = np.arange(400_000.0)
        assert Parallel(n_jobs=2)(delayed(np.sum)(big) for _ in range(3)) == [big.sum()] * 3
    """,
    "grid search in processes": """
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, n_jobs=2).fit(X, y)
    """,
    "multiprocessing.Pool": """
        import multiprocessing
        with multiprocessing.Pool(2) as pool:
            assert pool.map(abs, [-1, -2, 3]) == [1, 2, 3]
    """,
    "spawned processes": """
        import multiprocessing
        from operator import neg
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.map(neg, [1]) == [-1]
    """,
    "thread pool": """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(abs, range(-100, 0))) == 5050
    """,
    "gradient boosting": """
        from sklearn.ensemble import HistGradientBoostingClassifier
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=1).fit(X, y).predict(X)
    """,
    "k-means": "from sklearn.cluster import KMeans; KMeans(2, n_init=2).fit(X)",
    "principal components": "from sklearn.decomposition import PCA; PCA(2).fit_transform(X)",
    "nearest neighbours": "from sklearn.neighbors import KNeighborsClassifier; KNeighborsClassifier(2, n_jobs=2).fit(X, y).predict(X)",
    "threads of BLAS": """
        import threadpoolctl
        with threadpoolctl.threadpool_limits(2):
            assert np.isfinite(np.ones((300, 300)) @ np.ones((300, 300))).all()
    """,
    "subprocess": "assert subprocess.check_output(['echo', 'hello']) == b'hello\\n'",
    "another Python": "assert subprocess.check_output([sys.executable, '-c', 'import numpy; print(numpy.ones(2).sum())']) == b'2.0\\n'",
    "files in scratch": """
        import tempfile, pickle, joblib
        with tempfile.NamedTemporaryFile() as stream:
            pickle.dump(X, stream)
        joblib.dump(X, "model.joblib")
        assert (joblib.load("model.joblib") == X).all()
        os.mkdir("folder"); os.symlink("folder", "link"); os.rename("folder", "other"); os.unlink("link")
        np.memmap("map", dtype=float, mode="w+", shape=100)[:] = 1
    """,
    "writing into its arrays": "X[:] = 0; y[:] = y[0]; X.sort()",
    "randomness": "import secrets, uuid; uuid.uuid4(); secrets.token_bytes(8); np.random.default_rng().normal()",
    "unix sockets of its own": "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'",
    "who and where": "import getpass, platform; getpass.getuser(); platform.platform(); os.cpu_count(); os.path.expanduser('~')",
    "signals of its own": "signal.signal(signal.SIGALRM, lambda *_: None); signal.alarm(1); time.sleep(0.01); signal.alarm(0)",
    "a broken pipe": """
        process = subprocess.Popen(["true"], stdin=subprocess.PIPE)
        process.wait()
        try:
            process.stdin.write(bytes(1 << 20))
            process.stdin.flush()
        except BrokenPipeError:
            process.stdin = None
    """,
    "warnings and logging": "import warnings, logging; warnings.warn('careful'); logging.warning('logged')",
}


@pytest.mark.parametrize("what", WORKING)
def test_works_inside(sandbox: Sandbox, what: str) -> None:
    report = sandbox.attack(WORKING[what], wall_seconds=60, memory_kb=1 << 20)
    assert report.outcome is Outcome.OK, report.log_messages


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "torch"])
def test_a_lazily_imported_library_works_inside(sandbox: Sandbox, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed on this runner")
    report = sandbox.attack(f"import {library}", wall_seconds=60, memory_kb=4 << 20)
    assert report.outcome is Outcome.OK, report.log_messages


def test_a_processes_cpu_counts_for_the_fold(sandbox: Sandbox) -> None:
    report = sandbox.attack("""
        for _ in range(2):
            subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.4: pass"], check=True)
    """)
    assert report.outcome is Outcome.OK, report.log_messages
    # The kernel counts in hundredths of a second, and rounds down for each process.
    assert report.measures.train_cpu_time >= 0.75
