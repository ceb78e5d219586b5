"""What is wrong is said before anything is touched, and once it is mended the same commands work."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from test_files.hosts.cage import run
from test_files.hosts.deployment import Deployment
from test_files.hosts.machine import Machine, wait_until
from test_files.hosts.network import address
from test_files.hosts.site import NUMBERS, Site

_SPARE = address(NUMBERS["spare"])


@pytest.fixture
def spare(deployment: Deployment, operator_files: None) -> Iterator[Machine]:
    """A fresh host beside the deployed ones, with a disk that soon is full."""
    yield deployment.site.machine("spare", disk_mb=1200)
    deployment.site.remove("spare")


def _deploy_spare(site: Site, key: Path) -> str:
    return site.at_operator(f"bash scp_runner_stratuslab.sh list_runners.txt {key}; echo exit code $?")


def _untouched(machine: Machine) -> bool:
    return machine.run("ls -d /opt/datarun /etc/datarun /home/datarun 2>/dev/null || true") == ""


def _deploy_master_where_port_80_is_taken(deployment: Deployment, spare: Machine) -> str:
    site = deployment.site
    site.cage.run("mount", "-o", "remount,size=8g", spare.folder / "disk")
    spare.run("systemd-run --quiet --unit=other python3 -m http.server 80")
    spare.run("until ss -ltn | grep -q ':80 '; do sleep 0.1; done", timeout_seconds=30)
    # A disk of its own: two masters on one would take each other's results.
    deployment.machine("disk").run("install -d -o science -g science ~science/other")
    site.write_settings({"SCIENCEFS_DATARUN": "other"})
    return site.deploy_master("spare", check=False)


def test_a_master_is_not_begun_where_its_port_is_taken(deployment: Deployment, spare: Machine) -> None:
    before = spare.run("dpkg-query -W | sha256sum")
    printed = _deploy_master_where_port_80_is_taken(deployment, spare)
    assert "port 80 is taken by python3 (pid" in printed
    assert 'FAILED in the step "check before anything is touched"' in printed
    assert spare.run("dpkg-query -W | sha256sum") == before


@pytest.mark.thorough
def test_once_the_port_is_free_the_same_command_deploys_the_master(
    deployment: Deployment, spare: Machine
) -> None:
    assert "port 80 is taken" in _deploy_master_where_port_80_is_taken(deployment, spare)
    spare.run("systemctl stop other.service")
    assert "The master is up" in deployment.site.deploy_master("spare")


@pytest.mark.thorough
def test_a_full_disk_and_a_wrong_key_are_said_and_once_both_are_mended_the_same_command_deploys(
    deployment: Deployment, spare: Machine
) -> None:
    site = deployment.site
    site.write_list(f"{_SPARE} 1 L 60 50")
    wrong_key = site.home / "wrong_key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", wrong_key)

    printed = _deploy_spare(site, wrong_key)
    assert "MB left, and 2500 MB are needed" in printed
    assert f"not done on {_SPARE} (1 of 1 runners)" in printed
    assert "exit code 1" in printed
    assert _untouched(spare)

    site.cage.run("mount", "-o", "remount,size=8g", spare.folder / "disk")
    printed = _deploy_spare(site, wrong_key)
    assert f"the disk's host {address(NUMBERS['disk'])} does not let science in with this key" in printed
    assert "exit code 1" in printed

    assert "The runner is up: 1 L 60 50" in _deploy_spare(site, site.disk_key)


@pytest.mark.thorough
def test_a_runner_that_loses_its_power_while_it_is_deployed_is_mended_by_the_same_command(
    deployment: Deployment, spare: Machine
) -> None:
    site = deployment.site
    site.cage.run("mount", "-o", "remount,size=8g", spare.folder / "disk")
    site.write_list(f"{_SPARE} 1 L 60 50")
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(_deploy_spare, site, site.disk_key)
        wait_until(lambda: spare.run("ls /opt/datarun/venvs/*/bin/pip 2>/dev/null || true"),
                   "packages are being installed", timeout_seconds=120)  # fmt: skip
        spare.cut_power()
        spare.boot()
        printed = first.result()
    assert f"not done on {_SPARE} (1 of 1 runners)" in printed
    assert "The runner is up: 1 L 60 50" in _deploy_spare(site, site.disk_key)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DR_DATABASE_PASSWORD", None, "the variable DR_DATABASE_PASSWORD is not set"),
        ("USER_PSWD", "user_password", "the variable USER_PSWD still holds the documentation's placeholder"),
        ("DIR_DATA", "/home/data", "DIR_DATA is /home/data; it must be a folder below /mnt/datarun"),
        ("DR_DATABASE_VSER", "toto", "datarun knows no variable DR_DATABASE_VSER"),
    ],
)
def test_a_variable_that_is_wrong_is_named_before_any_machine_is_asked(
    deployment: Deployment, operator_files: None, name: str, value: str | None, message: str
) -> None:
    deployment.site.write_settings({name: value})
    printed = deployment.site.at_operator(
        f"bash scp_master_stratuslab.sh 203.0.113.1 {deployment.site.disk_key}; echo exit code $?",
        timeout_seconds=5,
    )
    assert message in printed
    assert "exit code 1" in printed
