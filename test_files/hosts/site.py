"""Everything an operator deploys: master, runners, a host with the shared disk; and the operator's folder."""

import dataclasses
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from runapp.environment import BASE_DIR
from test_files.hosts import bases
from test_files.hosts.cage import Cage, run
from test_files.hosts.cgroups import remove_cgroups
from test_files.hosts.locks import held, remove_unless_held
from test_files.hosts.machine import Machine
from test_files.hosts.network import PROXY, address, make_network

#: Hosts by name, with the last number of their addresses.
NUMBERS = {"disk": 10, "master": 11, "runner1": 12, "runner2": 13, "spare": 14}
_DEPLOY_SECONDS = 900.0
_FOLDER_PREFIX = "run-"


@dataclasses.dataclass(frozen=True)
class Step:
    """A step that a script reported, and how long it took."""

    where: str
    name: str
    seconds: int


class Site:
    """Hosts on a network of their own, as long as the context lasts, and an operator's folder beside them.

    ``settings`` and ``runner_settings`` are what stands in env.sh and env_runner.sh, ``base_seconds`` is how
    long it took to make the fresh system.
    """

    def __init__(self, release: str) -> None:
        self.release = release
        began = time.monotonic()
        self.base = bases.base(release)
        self.base_seconds = time.monotonic() - began
        self.machines: dict[str, Machine] = {}

    def __enter__(self) -> Self:
        self._locks = ExitStack()
        self._locks.enter_context(held(self.base.folder, shared=True))
        self.folder = self._make_folder()
        self.cage = Cage().__enter__()
        try:
            self._proxy = make_network(self.cage)
            self._make_operator()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cage.__exit__(kind, error, trace)
        if hasattr(self, "_proxy"):
            self._proxy.kill()
            self._proxy.wait()
        remove_cgroups()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._locks.close()

    def _make_folder(self) -> Path:
        """A folder of this run alone; those of runs that were killed are removed."""
        cache = bases.cache_folder()
        with held(cache):
            for abandoned in cache.glob(f"{_FOLDER_PREFIX}*"):
                remove_unless_held(abandoned)
            folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-", dir=cache))
            self._locks.enter_context(held(folder))
        return folder

    def _make_operator(self) -> None:
        """The operator's computer: a folder with the project, ssh keys, and settings."""
        self.home = self.folder / "operator"
        self.home.mkdir(mode=0o700)
        self.key, self.disk_key = self.home / "id_ed25519", self.home / "disk_key"
        for key in (self.key, self.disk_key):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", key)
        self.ssh_config = self.home / "ssh_config"
        self.ssh_config.write_text(
            f"Host *\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.home}/known_hosts\n"
            "  LogLevel ERROR\n"
        )
        self.project = self.home / "datarun"
        copy_project(self.project)
        self.scripts = self.project / "script_install"
        self.settings = self._settings()
        self.write_settings()

    def take_identity(self, folder: Path) -> None:
        """Take over the keys and settings of an earlier operator, who deployed the hosts in the cache."""
        for path in folder.iterdir():
            # Its settings of ssh name its own folder.
            if path.is_file() and path.name != self.ssh_config.name:
                shutil.copy2(path, self.home / path.name)
        self.settings = json.loads((folder / "settings.json").read_text())
        self.write_settings()

    def _settings(self) -> dict[str, str]:
        return {
            "SCIENCEFS_LOGIN": "science",
            "DR_DISK_HOST": address(NUMBERS["disk"]),
            "SCIENCEFS_DATARUN": "datarun",
            "DIR_DATA": "/mnt/datarun/data",
            "DIR_SUBMISSION": "/mnt/datarun/submission",
            "DR_DATABASE_NAME": "datarun_db",
            "DR_DATABASE_USER": "toto",
            "DR_DATABASE_PASSWORD": f"db-{secrets.token_urlsafe(16)}",
            "DR_BROKER_USER": "carrot",
            "DR_BROKER_PASSWORD": f"broker-{secrets.token_urlsafe(16)}&/:@",
            "USER_LOGIN": "admin",
            "USER_PSWD": f"user-{secrets.token_urlsafe(12)}",
            "DR_EMAIL": "admin@example.org",
            "CELERY_SCHEDULER_PERIOD": "*/2",
            "RMQ_VHOST": "datarun",
        }

    def secrets(self, *names: str) -> list[str]:
        """The settings that nobody may see, or those that are named: as they are, and as part of a URL."""
        names = names or ("DR_DATABASE_PASSWORD", "DR_BROKER_PASSWORD", "USER_PSWD")
        values = [self.settings[name] for name in names]
        return sorted({*values, *(quote(value, safe="") for value in values)})

    @property
    def runner_settings(self) -> dict[str, str]:
        names = (
            "SCIENCEFS_LOGIN", "DR_DISK_HOST", "SCIENCEFS_DATARUN", "DIR_DATA", "DIR_SUBMISSION",
            "DR_BROKER_USER", "DR_BROKER_PASSWORD", "RMQ_VHOST",
        )  # fmt: skip
        return {name: self.settings[name] for name in names} | {"IP_MASTER": address(NUMBERS["master"])}

    def write_settings(self, changes: Mapping[str, str | None] = {}) -> None:
        """Write env.sh, as release 0.4 documents it, and env_runner.sh; a change to None
        leaves a variable out."""
        for name, values in (("env.sh", self.settings), ("env_runner.sh", self.runner_settings)):
            lines = [
                f"export {key}='{value}'"
                for key, value in (values | dict(changes)).items()
                if value is not None
            ]
            if name == "env.sh":
                lines.append(
                    'export IP_MASTER=$(/sbin/ifconfig eth0 | grep "inet addr" '
                    "| awk -F: '{print $2}' | awk '{print $2}'"
                )
            (self.scripts / name).write_text("\n".join(lines) + "\n")

    def write_list(self, *lines: str, final_newline: bool = True) -> Path:
        """Write list_runners.txt."""
        path = self.scripts / "list_runners.txt"
        path.write_text("\n".join(lines) + ("\n" if final_newline else ""))
        return path

    def machine(
        self, name: str, *, layers: tuple[Path, ...] = (), disk_mb: int | None = None, user_data: str = ""
    ) -> Machine:
        """Make and boot a host; ``layers`` lie above the fresh system, the cloud hands it ``user_data``.

        It takes the place of one that had its name before.
        """
        self.remove(name)
        made = Machine(
            self.cage, name, address=address(NUMBERS[name]), layers=(*layers, self.base.fresh),
            folder=self.folder / name, disk_mb=disk_mb,
        )  # fmt: skip
        hosts = "".join(f"{address(number)} {other}\n" for other, number in NUMBERS.items())
        made.prepare(proxy=PROXY, authorized_key=self.key.with_suffix(".pub").read_text(), hosts=hosts)
        if user_data:
            made.give_user_data(user_data)
        self.machines[name] = made
        made.boot()
        return made

    def remove(self, name: str) -> None:
        """Remove a host, if there is one of this name; the operator forgets its key."""
        if machine := self.machines.pop(name, None):
            machine.remove()
            run("ssh-keygen", "-R", address(NUMBERS[name]), "-f", self.home / "known_hosts", check=False)

    def boot_disk(self, *, layers: tuple[Path, ...] = ()) -> Machine:
        """The host of the shared disk: an account that takes one ssh key, and a folder in its home."""
        disk = self.machine("disk", layers=layers)
        public = self.disk_key.with_suffix(".pub").read_text().strip()
        disk.run(
            "id science >/dev/null 2>&1 || useradd --create-home --shell /bin/bash science\n"
            "install -d -o science -g science -m 700 ~science/.ssh ~science/datarun\n"
            f"echo '{public}' >~science/.ssh/authorized_keys && chown science: ~science/.ssh/authorized_keys"
        )
        return disk

    def operator(
        self, script: str, *arguments: str, timeout_seconds: float = _DEPLOY_SECONDS, check: bool = True
    ) -> str:
        """Run one of the scripts on the operator's computer, in script_install; what it printed."""
        return self.at_operator(
            f"bash {script} {' '.join(arguments)}", timeout_seconds=timeout_seconds, check=check
        )

    def at_operator(
        self, command: str, *, timeout_seconds: float = _DEPLOY_SECONDS, check: bool = True
    ) -> str:
        """Run a shell command on the operator's computer, in the folder script_install."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return self.cage.run(
            "env", "-i", f"PATH={path}", f"HOME={self.home}", "LC_ALL=C.UTF-8",
            f"DR_SSH_CONFIG={self.ssh_config}",
            "nice", "bash", "-c", f"cd {self.scripts} && {command}",
            timeout_seconds=timeout_seconds, check=check,
        )  # fmt: skip

    def ssh(
        self, name: str, command: str, *, timeout_seconds: float = _DEPLOY_SECONDS, check: bool = True
    ) -> str:
        """Log in at a host as an operator does, and run a command there."""
        return self.at_operator(
            f"ssh -F {self.ssh_config} -o BatchMode=yes -o StrictHostKeyChecking=accept-new "
            f"ubuntu@{address(NUMBERS[name])} '{command}'",
            timeout_seconds=timeout_seconds, check=check,
        )  # fmt: skip

    def deploy_master(self, name: str = "master", *, check: bool = True) -> str:
        """Deploy the master on a host, as the documentation says; what the scripts printed."""
        printed = self.operator("scp_master_stratuslab.sh", address(NUMBERS[name]), str(self.disk_key))
        return printed + self.ssh(name, "bash deploy_master_stratuslab.sh && source ~/.bashrc", check=check)

    def deploy_runners(self) -> str:
        return self.operator("scp_runner_stratuslab.sh", "list_runners.txt", str(self.disk_key))

    def test_workflow(self) -> str:
        """Run stratuslab_test.sh from the operator's computer against the master's public address."""
        account = f"{address(NUMBERS['master'])} {self.settings['USER_LOGIN']} {self.settings['USER_PSWD']}"
        return self.at_operator(f"cd ../test_files && bash stratuslab_test.sh {account}")


def copy_project(folder: Path) -> None:
    """Copy what git knows of the project into ``folder``, as a clone would have it."""
    folder.mkdir(exist_ok=True)
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={BASE_DIR}", "ls-files", "-z"],
        cwd=BASE_DIR,
        capture_output=True,
        check=True,
    ).stdout
    for name in listed.decode().rstrip("\0").split("\0"):
        source = BASE_DIR / name
        if source.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    run("git", "init", "--quiet", folder)
    run("git", "-C", folder, "add", "--all")


def steps(printed: str) -> list[Step]:
    """The steps in what scripts printed."""
    pattern = re.compile(r"^(?:\[(\S+)\] )?-- (.+): (\d+) s$", re.MULTILINE)
    return [Step(where or "", name, int(seconds)) for where, name, seconds in pattern.findall(printed)]
