"""Start datarun embedded, train eight folds of a submission on iris, show a table, and go on serving.

Run through ``quickstart.sh``, which sees to the Python packages.
"""

import argparse
import os
import secrets
import signal
import sys
import uuid
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

from runapp.environment import BASE_DIR, Environment
from test_files.client import Datarun, FoldResult
from test_files.client_connection import DatarunClientError
from test_files.examples import HELD_OUT_TEST, RANDOM_STATE, STANDARD_EXAMPLES
from test_files.processes import Process, ProcessFailed, is_free
from test_files.stack import answers, clean_environment

USERNAME = "quickstart"
N_FOLDS = 8
FIRST_PORT = 8000
_UP_STOP_SECONDS = 25.0
_TRAIN_SECONDS = 600.0

_EXAMPLE = STANDARD_EXAMPLES[0]


Fold = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


class Login(NamedTuple):
    username: str
    password: str


class Labels(NamedTuple):
    """Species of the training set, of shape (n_train,), and of the held-out test set, of shape (n_test,)."""

    train: npt.NDArray[np.str_]
    test: npt.NDArray[np.str_]


def embed() -> Path:
    """Forget every setting but the folder, so that no server is needed; the folder, made."""
    home = os.environ.get("DR_HOME")
    environment = clean_environment()
    os.environ.clear()
    os.environ.update(environment, **({"DR_HOME": home} if home else {}))
    folder = Environment.read().home
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def make_login(home: Path) -> Login:
    """A superuser whose password is made once and kept where only this user reads it."""
    import django
    from django.core.management import call_command

    os.environ["DJANGO_SETTINGS_MODULE"] = "datarun.settings"
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    from django.contrib.auth.models import User

    place = home / "quickstart-password"
    if not place.exists():
        with open(place, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
            stream.write(secrets.token_urlsafe(9))
    login = Login(USERNAME, place.read_text())
    user, _ = User.objects.get_or_create(username=USERNAME, defaults={"is_staff": True, "is_superuser": True})
    if not user.check_password(login.password):
        user.set_password(login.password)
        user.save()
    return login


def choose_port(asked: int | None) -> int:
    """The port asked for, which `up` checks, else the first free one from 8000 on."""
    if asked is not None:
        return asked
    return next(port for port in range(FIRST_PORT, FIRST_PORT + 1000) if is_free(port))


def start_datarun(home: Path, url: str, port: int) -> Process:
    """Start `manage.py up`, whose output goes to ``up.log``."""
    up = Process(
        "up",
        [sys.executable, BASE_DIR / "manage.py", "up", "--port", str(port)],
        folder=home,
        environment=dict(os.environ),
        working_folder=BASE_DIR,
        is_ready=lambda: answers(url),
        death_signal=signal.SIGTERM,
    )
    up.start()
    try:
        up.wait_until_ready()
    except BaseException:
        up.stop(seconds=_UP_STOP_SECONDS)
        raise
    return up


def read_labels() -> Labels:
    """The labels in the order of the service's split, which the documentation lays down."""
    frame = pd.read_csv(_EXAMPLE.data_file)
    train, test = train_test_split(frame, test_size=HELD_OUT_TEST, random_state=RANDOM_STATE)
    return Labels(train[_EXAMPLE.target_column].to_numpy(), test[_EXAMPLE.target_column].to_numpy())


def make_folds(labels: Labels) -> list[Fold]:
    splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=RANDOM_STATE)
    return list(splitter.split(np.zeros((len(labels.train), 1)), labels.train))


def train(datarun: Datarun, folds: list[Fold]) -> list[FoldResult]:
    """Send iris under a new name and a submission with its folds, wait, and return what came out."""
    data = datarun.post_data(
        f"iris_{uuid.uuid4().hex[:8]}",
        _EXAMPLE.target_column,
        _EXAMPLE.workflow_elements,
        _EXAMPLE.files,
        held_out_test=HELD_OUT_TEST,
        random_state=RANDOM_STATE,
    )
    submission = datarun.post_submission(data["id"], _EXAMPLE.submission_folder, folds=folds)
    datarun.wait(submission, timeout_seconds=_TRAIN_SECONDS)
    return datarun.results(submission)


def print_table(results: list[FoldResult], folds: list[Fold], labels: Labels) -> None:
    print("\n  fold   validation accuracy   test accuracy   train seconds   memory MB")
    for result, (_, validation_is) in zip(results, folds, strict=True):
        if result.full_train_predictions is None or result.test_predictions is None:
            print(f"{result.fold_id:6d}   {result.state}, {result.outcome}: {result.log_messages[-500:]}")
            continue
        species = np.unique(labels.train)
        guessed = species[result.full_train_predictions.argmax(axis=1)]
        validation_accuracy = np.mean(guessed[validation_is] == labels.train[validation_is])
        test_accuracy = np.mean(species[result.test_predictions.argmax(axis=1)] == labels.test)
        print(
            f"{result.fold_id:6d}   {validation_accuracy:19.3f}   {test_accuracy:13.3f}"
            f"   {result.train_time:13.3f}   {result.train_memory / 1024:9.0f}"
        )


def print_addresses(url: str, login: Login) -> None:
    print(f"\n  dashboard       {url}/")
    print(f"  admin pages     {url}/admin/")
    print(f"  documentation   {url}/docs/")
    print(f"  login           {login.username} / {login.password}\n", flush=True)


def serve(up: Process, url: str, login: Login) -> int:
    """Wait until datarun ends, which it does by itself only when something went wrong."""
    print_addresses(url, login)
    print("Ctrl-C stops datarun.", flush=True)
    up.wait()
    print(f"datarun ended by itself.\n{up.log_end()}")
    return 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="quickstart.sh", description=__doc__)
    parser.add_argument(
        "--once", action="store_true", help="stop after the table; fail if a fold is not TESTED"
    )
    parser.add_argument("--port", type=int, help="port of the web server (the first free one from 8000 on)")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    home = embed()
    print("1/4  Preparing the database ...", flush=True)
    login = make_login(home)
    port = choose_port(arguments.port)
    url = f"http://127.0.0.1:{port}"
    print(f"2/4  Starting datarun at {url} ...", flush=True)
    up = start_datarun(home, url, port)
    try:
        labels = read_labels()
        folds = make_folds(labels)
        print(f"3/4  Sending iris and a submission, training {N_FOLDS} folds ...", flush=True)
        results = train(Datarun(url, *login), folds)
        print("4/4  Done.")
        print_table(results, folds, labels)
        if arguments.once:
            return 0 if all(result.state == "TESTED" for result in results) else 1
        return serve(up, url, login)
    except KeyboardInterrupt:
        print("\nStopping ...", flush=True)
        return 0
    finally:
        up.stop(seconds=_UP_STOP_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except (ProcessFailed, DatarunClientError) as error:
        sys.exit(f"quickstart: {error}")
