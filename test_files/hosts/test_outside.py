"""What can be seen of a deployed datarun from outside, and what secrets lie about."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from test_files.hosts.deployment import Deployment
from test_files.hosts.machine import Machine
from test_files.hosts.network import address
from test_files.hosts.site import NUMBERS


def _open_ports(deployment: Deployment, host: str, *, seen_from: str | None) -> set[int]:
    enter = ("ip", "netns", "exec", seen_from) if seen_from else ()
    printed = deployment.site.cage.run(
        *enter, "nmap", "-n", "-Pn", "-p-", "--min-rate", "5000", "--max-retries", "1", "-oG", "-", address(NUMBERS[host]),
        timeout_seconds=300,
    )  # fmt: skip
    return {int(port) for port in re.findall(r"(\d+)/open/tcp", printed)}


@pytest.mark.parametrize(
    ("host", "seen_from", "ports"),
    [
        ("master", None, {22, 80, 443}),
        ("master", "disk", {22, 80, 443}),
        ("master", "runner1", {22, 80, 443, 5672, 6379}),
        ("runner1", None, {22}),
        ("runner2", "runner1", {22}),
    ],
)
def test_only_the_documented_ports_are_open(
    deployment: Deployment, host: str, seen_from: str | None, ports: set[int]
) -> None:
    assert _open_ports(deployment, host, seen_from=seen_from) == ports


def test_no_secret_was_an_argument_of_a_process_while_datarun_was_deployed(deployment: Deployment) -> None:
    assert deployment.watch.n_looks > 10
    assert deployment.watch.found == set()


@contextmanager
def _patterns(deployment: Deployment, machine: Machine, *names: str) -> Iterator[str]:
    """A file on the machine, which only root can read, with these secrets, or with all."""
    file = "/root/.patterns"
    machine.run(f"install -m 600 /dev/null {file}")
    machine.write(file, "".join(f"{secret}\n" for secret in deployment.site.secrets(*names)))
    try:
        yield file
    finally:
        machine.run(f"rm {file}")


@pytest.mark.parametrize("host", ["master", "runner1", "runner2"])
def test_no_secret_lies_where_others_can_read_it(deployment: Deployment, host: str) -> None:
    machine = deployment.machine(host)
    with _patterns(deployment, machine) as file:
        found = machine.run(
            f"{{ cat /proc/[0-9]*/cmdline | tr '\\0' ' '; }} 2>/dev/null | grep -F -f {file}\n"
            f"journalctl -q --no-pager -o cat | grep -F -f {file}\n"
            f"grep -rlF -f {file} /var/log 2>/dev/null\n"
            "find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -type f -perm /o=r -print0 | "
            f"xargs -0 -r grep -lF -f {file} --",
            check=False, timeout_seconds=300,
        )  # fmt: skip
    assert found == ""


@pytest.mark.parametrize("host", ["runner1", "runner2"])
def test_a_runner_knows_neither_the_databases_password_nor_a_users(deployment: Deployment, host: str) -> None:
    machine = deployment.machine(host)
    with _patterns(deployment, machine, "DR_DATABASE_PASSWORD", "USER_PSWD") as file:
        found = machine.run(
            f"grep -rlF -f {file} --exclude={Path(file).name} /etc /home /opt/datarun/releases /root /tmp /var/lib /var/log; "
            f"cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -F -f {file}",
            check=False, timeout_seconds=300,
        )  # fmt: skip
    assert found == ""


def test_the_accounts_of_services_cannot_read_the_disks_key(deployment: Deployment) -> None:
    answer = deployment.machine("runner1").run(
        "cat /etc/datarun/disk_key /etc/datarun/datarun.env", user="celery", check=False
    )
    assert answer.count("Permission denied") == 2


def test_the_default_account_of_rabbitmq_is_gone(deployment: Deployment) -> None:
    users = deployment.machine("master").run("rabbitmqctl --quiet list_users --no-table-headers")
    assert "guest" not in users
    assert "carrot\t[monitoring]" in users
