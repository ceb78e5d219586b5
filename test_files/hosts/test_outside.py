"""What can be seen of a deployed datarun from outside, and what secrets lie about."""

import re

import pytest

from test_files.hosts.deployment import Deployment
from test_files.hosts.network import address
from test_files.hosts.site import NUMBERS

_SECRETS = ("DR_DATABASE_PASSWORD", "DR_BROKER_PASSWORD", "USER_PSWD")


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


@pytest.mark.parametrize("host", ["master", "runner1", "runner2"])
@pytest.mark.parametrize("name", _SECRETS)
def test_no_secret_lies_where_others_can_read_it(deployment: Deployment, host: str, name: str) -> None:
    machine = deployment.machine(host)
    machine.write("/root/.pattern", deployment.site.settings[name] + "\n")
    try:
        found = machine.run(
            "{ cat /proc/[0-9]*/cmdline | tr '\\0' ' '; } 2>/dev/null | grep -F -f /root/.pattern\n"
            "journalctl -q --no-pager -o cat | grep -F -f /root/.pattern\n"
            "grep -rlF -f /root/.pattern /var/log 2>/dev/null\n"
            "find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -type f -perm /o=r ! -name .pattern -print0 | "
            "xargs -0 -r grep -lF -f /root/.pattern --",
            check=False, timeout_seconds=300,
        )  # fmt: skip
    finally:
        machine.run("rm /root/.pattern")
    assert found == ""


@pytest.mark.parametrize("host", ["runner1", "runner2"])
@pytest.mark.parametrize("name", ["DR_DATABASE_PASSWORD", "USER_PSWD"])
def test_a_runner_knows_neither_the_databases_password_nor_a_users(
    deployment: Deployment, host: str, name: str
) -> None:
    machine = deployment.machine(host)
    machine.write("/root/.pattern", deployment.site.settings[name] + "\n")
    try:
        found = machine.run(
            "grep -rlF -f /root/.pattern --exclude=.pattern /etc /home /opt/datarun/releases /root /tmp /var/lib /var/log; "
            "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -F -f /root/.pattern",
            check=False, timeout_seconds=300,
        )  # fmt: skip
    finally:
        machine.run("rm /root/.pattern")
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
