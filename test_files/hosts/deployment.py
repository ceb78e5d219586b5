"""A deployed datarun on test hosts, and what an operator can ask it."""

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from test_files.hosts.locks import held
from test_files.hosts.machine import Machine, wait_until
from test_files.hosts.network import address
from test_files.hosts.process_watch import ProcessWatch
from test_files.hosts.site import NUMBERS, Site, steps

HOSTS = ("disk", "master", "runner1", "runner2")
#: The lines of list_runners.txt.
LINES = {"runner1": "2 L,celery 120 100", "runner2": "2 H,L 120 100"}


@dataclasses.dataclass
class Deployment:
    """What the scripts made of a site.

    ``printed`` is what they printed, ``seconds`` how long each took, ``from_cache`` whether an earlier
    run had deployed the hosts, so that the scripts only brought them up to date. ``watch`` saw all processes
    meanwhile.
    """

    site: Site
    from_cache: bool
    printed: dict[str, str]
    seconds: dict[str, float]
    watch: ProcessWatch

    @classmethod
    def make(cls, site: Site) -> Self:
        """Deploy a site, on top of what the cache holds of an earlier run."""
        cache = site.base.deployed
        # Two runs at a time would put the same into the cache.
        with held(site.base.fresh):
            from_cache = (cache / "complete").exists()
            if from_cache:
                site.take_identity(cache / "operator")
            made = cls(site, from_cache, {}, {}, ProcessWatch(site.secrets()))
            made._deploy({name: (cache / name,) for name in HOSTS} if from_cache else {})
            if not from_cache:
                made._timed("put into the cache", made._keep)
        return made

    def _deploy(self, layers: Mapping[str, tuple[Path, ...]]) -> None:
        site = self.site
        site.boot_disk(layers=layers.get("disk", ()))
        site.machine("master", layers=layers.get("master", ()))
        with self.watch:
            self._timed("master", site.deploy_master)
            for name in LINES:
                site.machine(name, layers=layers.get(name, ()))
            site.write_list(*self.lines(), final_newline=False)
            self._timed("runners", site.deploy_runners)

    def lines(self) -> list[str]:
        return [f"{address(NUMBERS[name])} {line}" for name, line in LINES.items()]

    def _timed(self, name: str, act: Callable[[], str | None]) -> None:
        began = time.monotonic()
        self.printed[name] = act() or ""
        self.seconds[name] = time.monotonic() - began

    def _keep(self) -> None:
        """Put the deployed hosts into the cache, and go on on top of them."""
        cache = self.site.base.deployed
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(mode=0o700)
        for name in reversed(HOSTS):
            self.machine(name).shut_down()
        for name in HOSTS:
            self.machine(name).become_layer(cache / name)
        shutil.copytree(self.site.home, cache / "operator", ignore=shutil.ignore_patterns("datarun"))
        (cache / "operator/settings.json").write_text(json.dumps(self.site.settings))
        (cache / "complete").touch()
        for name in HOSTS:
            self.machine(name).boot()
        self.wait_until_up()

    def machine(self, name: str) -> Machine:
        return self.site.machines[name]

    def wait_until_up(self, *, timeout_seconds: float = 180) -> None:
        """Wait until the master's web server answers, and every runner's worker."""
        wait_until(
            lambda: self.status("/runapp/") == 401, "the master answers", timeout_seconds=timeout_seconds
        )
        wait_until(self.workers_answer, "all workers answer", timeout_seconds=timeout_seconds)

    def workers_answer(self, *, but: str = "") -> bool:
        """Whether all workers answer the master, but for that of the host ``but``, which must not."""
        answer = self.machine("master").run(
            "datarun celery -A datarun inspect ping --timeout 3", check=False, timeout_seconds=60
        )
        workers = {"runner@runner1", "runner@runner2", "master@master"}
        return {worker for worker in workers if f"{worker}:" in answer} == workers - {f"runner@{but}"}

    def wait_for_other_workers(self, name: str, *, timeout_seconds: float = 60) -> None:
        """Wait until the master misses the worker of a host, and only that."""
        wait_until(
            lambda: self.workers_answer(but=name), f"{name} is missed", timeout_seconds=timeout_seconds
        )

    def wait_until_disk_is_away(self, name: str, *, timeout_seconds: float = 90) -> None:
        """Wait until a host can no longer read the shared disk."""
        probe = "timeout 30 ls /mnt/datarun/submission >/dev/null 2>&1 && echo there || echo away"
        machine = self.machine(name)
        wait_until(
            lambda: "away" in machine.run(probe), f"{name} sees no disk", timeout_seconds=timeout_seconds
        )

    @property
    def certificate(self) -> Path:
        """The master's certificate, as the scripts fetched it for the operator."""
        return self.site.scripts / "certificates" / f"{address(NUMBERS['master'])}.crt"

    def status(self, path: str) -> int:
        """The status of a page of the master's web server, for a stranger on the operator's network."""
        answer = self.curl(path, "--output", "/dev/null", "--write-out", "%{http_code}")
        return int(answer or 0)

    def curl(self, path: str, *options: str) -> str:
        """Ask the master from the operator's computer, trusting the certificate that the scripts fetched."""
        return self.site.cage.run(
            "curl",
            "--silent",
            "--max-time",
            "20",
            "--cacert",
            self.certificate,
            *options,
            f"https://{address(NUMBERS['master'])}{path}",
            check=False,
        )

    def as_admin(self, path: str, *options: str) -> str:
        account = f"{self.site.settings['USER_LOGIN']}:{self.site.settings['USER_PSWD']}"
        return self.curl(path, "--user", account, *options)

    def table(self) -> str:
        """How long each script and step took, in words."""
        lines = [
            f"Ubuntu {self.site.release}" + (", brought up to date" if self.from_cache else ", from nothing")
        ]
        lines.append(f"  fresh system: {self.site.base_seconds:.0f} s")
        for name, printed in self.printed.items():
            lines.append(f"  {name}: {self.seconds[name]:.0f} s")
            lines += [f"    {step.seconds:4d} s  {step.where} {step.name}" for step in steps(printed)]
        return "\n".join(lines)
