"""The scripts deploy a master and two runners, and can be run again."""

import json
import shutil
from collections.abc import Callable

import pytest

from test_files.hosts.cage import run
from test_files.hosts.deployment import Deployment
from test_files.hosts.machine import Machine
from test_files.hosts.network import address
from test_files.hosts.site import NUMBERS

#: What changes although nothing is deployed: caches, and what is mounted.
_STATE_OF_FILES = (
    "find /etc /opt/datarun /usr/local /home/ubuntu -xdev -type f ! -path '*/__pycache__/*' ! -path '*/datarun_install/*' "
    "! -name ld.so.cache -printf '%p %m %u %g %T@ %s\\n' | sort"
)
_STATE_OF_UNITS = (
    "systemctl show --property=Id,InvocationID,ActiveState --type=service 'datarun*' nginx.service redis-server.service "
    "rabbitmq-server.service 'postgresql*' datarun-firewall.service"
)


def _state(machine: Machine) -> str:
    return machine.run(_STATE_OF_FILES) + machine.run(_STATE_OF_UNITS)


@pytest.mark.each_ubuntu
def test_a_master_and_two_runners_are_deployed(deployment: Deployment, tell: Callable[[str], None]) -> None:
    tell("\n" + deployment.table())
    assert "The master is up" in deployment.printed["master"]
    assert deployment.printed["runners"].count("The runner is up") == 2
    assert deployment.workers_answer()


@pytest.mark.each_ubuntu
def test_the_examples_are_trained_through_the_masters_public_address(
    deployment: Deployment, tell: Callable[[str], None]
) -> None:
    printed = deployment.site.test_workflow()
    tell("\n".join(line for line in printed.splitlines() if "Oh yeah" in line or "bit for bit" in line))
    assert "Oh yeah 1!" in printed
    assert "Oh yeah 2!" in printed


def test_the_same_deployment_again_changes_nothing(deployment: Deployment) -> None:
    # Once more with the list of runners there, which the master's first deployment did not have.
    deployment.site.deploy_master()
    names = ("master", "runner1", "runner2")
    before = {name: _state(deployment.machine(name)) for name in names}
    printed = deployment.site.deploy_master() + deployment.site.deploy_runners()
    after = {name: _state(deployment.machine(name)) for name in names}
    for name in names:
        changes = set(before[name].splitlines()) ^ set(after[name].splitlines())
        assert not changes, f"the second deployment changed {name}:\n{printed}"
    assert "wrote" not in printed
    assert "installed:" not in printed


def test_each_runner_has_the_numbers_of_its_line(deployment: Deployment) -> None:
    answer = deployment.machine("master").run("datarun celery -A datarun inspect stats --timeout 5 --json")
    pools = {worker: stats["pool"] for worker, stats in json.loads(answer).items()}
    for name in ("runner@runner1", "runner@runner2"):
        assert pools[name]["max-concurrency"] == 2
        assert pools[name]["timeouts"] == [100.0, 120.0]
    queues = json.loads(
        deployment.machine("master").run("datarun celery -A datarun inspect active_queues --timeout 5 --json")
    )
    assert {queue["name"] for queue in queues["runner@runner1"]} == {"L", "celery"}
    assert {queue["name"] for queue in queues["runner@runner2"]} == {"H", "L"}


def test_an_unreachable_runner_is_named_and_the_others_are_deployed(
    deployment: Deployment, operator_files: None
) -> None:
    deployment.site.write_list(f"{address(99)} 1 L 60 50", *deployment.lines())
    printed = deployment.site.at_operator(
        f"bash scp_runner_stratuslab.sh list_runners.txt {deployment.site.disk_key}; echo exit code $?",
        check=False,
    )
    assert "exit code 1" in printed
    assert f"not done on {address(99)} (1 of 3 runners)" in printed
    assert printed.count("The runner is up") == 2


def test_the_doctor_finds_all_well(deployment: Deployment) -> None:
    # It looks for a runner that is gone a day long; the host of other tests is gone for good.
    deployment.machine("disk").run("rm -f ~science/datarun/submission/.datarun/runners/*spare*")
    printed = deployment.machine("master").run("datarun python manage.py doctor", timeout_seconds=180)
    assert "ok    canary fold" in printed


def test_flower_is_seen_by_the_superuser_alone(deployment: Deployment) -> None:
    assert deployment.status("/flower/") == 302
    assert deployment.as_admin("/flower/", "--output", "/dev/null", "--write-out", "%{http_code}") == "200"
    assert "runner@runner1" in deployment.as_admin("/flower/workers", "--location")
    deployment.machine("master").run(
        "echo a-password-for-tests | datarun python manage.py createuser lise lise@example.org - 2>&1 | grep -v weak || true"
    )
    assert (
        deployment.curl(
            "/flower/",
            "--user",
            "lise:a-password-for-tests",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        )
        == "403"
    )


def test_http_is_redirected_and_keeps_the_method(deployment: Deployment) -> None:
    answer = deployment.site.cage.run(
        "curl", "--silent", "--head", "-X", "POST", f"http://{address(NUMBERS['master'])}/runapp/rawdata/"
    )
    assert "308" in answer.splitlines()[0]
    assert f"https://{address(NUMBERS['master'])}/runapp/rawdata/" in answer


def test_too_large_a_request_is_refused_in_json(deployment: Deployment) -> None:
    folder = deployment.site.home
    with open(folder / "large", "wb") as stream:
        stream.truncate(200 * 2**20)
    answer = deployment.as_admin(
        "/runapp/rawdata/", "--header", "Content-Type: application/json", "--header", "Expect:",
        "--data-binary", f"@{folder / 'large'}",
    )  # fmt: skip
    assert json.loads(answer)["code"] == "too_large"


def test_packages_are_installed_on_all_runners_and_their_versions_told(deployment: Deployment) -> None:
    printed = deployment.site.operator("runners_install.sh", "list_runners.txt", "colorama==0.4.6")
    for name in ("runner1", "runner2"):
        assert f"[{address(NUMBERS[name])}] colorama 0.4.6" in printed
    printed = deployment.site.operator("runners_restart.sh", "list_runners.txt")
    assert printed.count("restarted") == 2
    printed = deployment.site.operator("runners_status.sh", "list_runners.txt")
    assert printed.count("worker active, takes") == 2
    assert printed.count("2 at a time, isolation full; shared disk mounted") == 2


def test_a_certificate_of_the_operators_is_served(deployment: Deployment, operator_files: None) -> None:
    site, master = deployment.site, address(NUMBERS["master"])
    key, certificate = site.home / "tls.key", site.home / "tls.crt"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "30", "-subj", "/CN=operator", "-addext", f"subjectAltName=IP:{master}",
        "-keyout", key, "-out", certificate)  # fmt: skip
    assert deployment.status("/runapp/") == 401
    site.write_settings({"DR_TLS_CERTIFICATE": str(certificate), "DR_TLS_KEY": str(key)})
    site.deploy_master()
    assert deployment.status("/runapp/") == 0, "the former certificate is served no more"
    shutil.copy(certificate, deployment.certificate)
    assert deployment.status("/runapp/") == 401
