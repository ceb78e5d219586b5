"""Start datarun embedded, train eight folds of a submission on iris, show a table, and go on serving.

Run through ``quickstart.sh``, which sees to the Python packages.
"""

import argparse
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from runapp.environment import BASE_DIR, Environment
from test_files.client_connection import DatarunClientError
from test_files.processes import Process, ProcessFailed, answers, clean_environment, is_free

USERNAME = "quickstart"
FIRST_PORT = 8000
_UP_STOP_SECONDS = 25.0


class Login(NamedTuple):
    username: str
    password: str


def embed() -> Path:
    """Forget every setting but the folder, so that no server is needed; the folder, made."""
    home = os.environ.get("DR_HOME")
    environment = clean_environment()
    os.environ.clear()
    os.environ.update(environment, **({"DR_HOME": home} if home else {}))
    folder = Environment.read().home
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def choose_port(asked: int | None) -> int:
    """The port asked for, which `up` checks, else the first free one from 8000 on."""
    if asked is not None:
        return asked
    return next(port for port in range(FIRST_PORT, FIRST_PORT + 1000) if is_free(port))


@contextmanager
def running_datarun(home: Path, url: str, port: int) -> Iterator[Process]:
    """`manage.py up`, started but not yet ready; its output goes to ``up.log``.

    Raises ProcessFailed, wherever the main thread is, when it ends by itself.
    """
    up = Process(
        "up",
        [sys.executable, BASE_DIR / "manage.py", "up", "--port", str(port)],
        folder=home,
        environment=dict(os.environ),
        working_folder=BASE_DIR,
        is_ready=lambda: answers(url),
        death_signal=signal.SIGTERM,
    )

    def notice_end(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not up.is_running():
            raise ProcessFailed(f"datarun ended by itself.\n{up.log_end()}")

    up.start()
    signal.signal(signal.SIGCHLD, notice_end)
    try:
        yield up
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        up.stop(seconds=_UP_STOP_SECONDS)


def make_login(home: Path) -> Login:
    """A superuser whose password is made once and kept where only this user reads it."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "datarun.settings"
    django.setup()
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


def print_addresses(url: str, login: Login) -> None:
    print(f"\n  dashboard       {url}/")
    print(f"  admin pages     {url}/admin/")
    print(f"  documentation   {url}/docs/")
    print(f"  login           {login.username} / {login.password}\n", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="quickstart.sh", description=__doc__)
    parser.add_argument(
        "--once", action="store_true", help="stop after the table; fail if a fold is not TESTED"
    )
    parser.add_argument("--port", type=int, help="port of the web server (the first free one from 8000 on)")
    return parser.parse_args()


def run(*, once: bool, asked_port: int | None) -> int:
    home = embed()
    port = choose_port(asked_port)
    url = f"http://127.0.0.1:{port}"
    print(f"1/3  Starting datarun at {url} ...", flush=True)
    with running_datarun(home, url, port) as up:
        # Takes as long as the start, so it is done meanwhile.
        from script_install import quickstart_iris as iris

        labels = iris.read_labels()
        folds = iris.make_folds(labels)
        up.wait_until_ready()
        login = make_login(home)
        print(f"2/3  Sending iris and a submission, training {len(folds)} folds ...", flush=True)
        results = iris.train(url, *login, folds)
        print("3/3  Done.")
        iris.print_table(results, folds, labels)
        if not once:
            print_addresses(url, login)
            print("Ctrl-C stops datarun.", flush=True)
            signal.pause()
    return 0 if all(result.state == "TESTED" for result in results) else 1


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(once=arguments.once, asked_port=arguments.port)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0
    except (ProcessFailed, DatarunClientError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
