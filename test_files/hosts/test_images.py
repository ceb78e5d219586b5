"""Images of master and runner, machines started from them, and machines that datarun is removed from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from test_files.hosts.deployment import Deployment
from test_files.hosts.machine import Machine, wait_until
from test_files.hosts.network import address
from test_files.hosts.site import NUMBERS

pytestmark = pytest.mark.thorough

_SPARE = address(NUMBERS["spare"])
#: Where a machine keeps what makes it itself; system software is not looked through.
_PLACES = "/etc /home /root /opt/datarun/releases /var/lib /var/log /var/backups /tmp"

#: What runners said of themselves on the shared disk.
_RUNNERS_ON_DISK = "ls /mnt/datarun/submission/.datarun/runners"


def _make_image(deployment: Deployment, name: str, option: str = "") -> tuple[Path, ...]:
    """Turn a copy of a deployed host into an image; the layers that a host started from it has."""
    layers = deployment.machine(name).snapshot(deployment.site.folder / f"copy-{name}")
    spare = deployment.site.machine("spare", layers=layers)
    spare.run("apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends cloud-init "
              ">/dev/null", timeout_seconds=300)  # fmt: skip
    spare.run(f"bash /home/datarun/script_install/make_image.sh --yes {option}", timeout_seconds=120)
    spare.shut_down()
    layer = deployment.site.folder / f"image-{name}"
    spare.become_layer(layer)
    deployment.site.remove("spare")
    return (layer, *layers)


@pytest.fixture(scope="module")
def runner_image(deployment: Deployment) -> tuple[Path, ...]:
    return _make_image(deployment, "runner1", "--keep-disk-key")


@pytest.fixture
def from_runner_image(
    deployment: Deployment, runner_image: tuple[Path, ...], operator_files: None
) -> Iterator[Machine]:
    yield deployment.site.machine("spare", layers=runner_image)
    deployment.site.remove("spare")


def test_an_image_holds_no_secret_and_no_identity(deployment: Deployment, from_runner_image: Machine) -> None:
    spare = from_runner_image
    spare.write("/root/.pattern", "".join(f"{secret}\n" for secret in deployment.site.secrets()))
    found = spare.run(f"grep -rlF -f /root/.pattern --exclude=.pattern {_PLACES}; ls /etc/datarun/*.env /home/*/datarun_install",
                      check=False, timeout_seconds=120)  # fmt: skip
    assert [line for line in found.splitlines() if "No such file" not in line] == []
    key = spare.run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    assert key != deployment.machine("runner1").run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    assert spare.run("cat /etc/machine-id") != deployment.machine("runner1").run("cat /etc/machine-id")
    assert spare.run("systemctl is-enabled datarun-runner.service", check=False).strip() == "disabled"


def test_a_runner_is_deployed_from_its_image_without_a_download_and_removed(
    deployment: Deployment, from_runner_image: Machine
) -> None:
    spare, site = from_runner_image, deployment.site
    spare.run("rm -f /etc/pip.conf /etc/apt/apt.conf.d/98proxy")
    site.write_list(f"{_SPARE} 1 L 60 50")
    printed = site.operator("scp_runner_from_image.sh", "list_runners.txt", str(site.disk_key))
    assert "The runner is up: 1 L 60 50" in printed
    assert "installed:" not in printed
    master = deployment.machine("master")
    assert _reaches_rabbitmq(spare)
    assert "runner@spare" in master.run(_RUNNERS_ON_DISK)
    printed = spare.run("bash /home/datarun/script_install/uninstall.sh --yes")
    assert "datarun is removed" in printed
    assert "runner@spare" not in master.run(_RUNNERS_ON_DISK)
    printed = master.run(f"bash /home/datarun/script_install/allow_runners.sh --remove {_SPARE}")
    assert _SPARE not in printed
    assert not _reaches_rabbitmq(spare)
    # With the settings that the master keeps, as an upgrade does.
    master.run("bash /home/datarun/script_install/deploy_master_from_image.sh", timeout_seconds=300)
    assert not _reaches_rabbitmq(spare)
    assert (
        spare.run(
            "ls -d /opt/datarun /etc/datarun /home/datarun /var/lib/datarun /mnt/datarun 2>/dev/null || true"
        )
        == ""
    )
    assert (
        spare.run(
            "systemctl list-units --all --no-legend 'datarun*'; getent passwd celery || true; mount | grep sshfs || true"
        )
        == ""
    )


def _reaches_rabbitmq(machine: Machine) -> bool:
    probe = f"timeout 5 bash -c 'exec 3<>/dev/tcp/{address(NUMBERS['master'])}/5672' 2>/dev/null && echo yes"
    return machine.run(f"{probe} || echo no").strip() == "yes"


def test_a_runner_takes_a_disk_that_is_mounted_already(
    deployment: Deployment, from_runner_image: Machine
) -> None:
    spare, site = from_runner_image, deployment.site
    # Somebody else's mount, as NFS would be.
    spare.run(
        "mkdir /mnt/shared && sshfs -o allow_other,uid=$(id -u celery),gid=$(id -g celery) "
        "-o IdentityFile=/etc/datarun/disk_key,StrictHostKeyChecking=accept-new "
        f"science@{address(NUMBERS['disk'])}:datarun /mnt/shared"
    )
    folders = {"DIR_DATA": "/mnt/shared/data", "DIR_SUBMISSION": "/mnt/shared/submission"}
    site.write_settings(
        {"DR_DISK_PATH": "/mnt/shared", "SCIENCEFS_LOGIN": None, "DR_DISK_HOST": None} | folders
    )
    site.write_list(f"{_SPARE} 1 L 60 50")
    assert "The runner is up: 1 L 60 50" in site.operator("scp_runner_from_image.sh", "list_runners.txt")
    assert "shared disk mounted" in site.operator("runners_status.sh", "list_runners.txt")
    assert spare.run("mountpoint -q /mnt/datarun || echo no second mount") == "no second mount\n"


def test_a_runner_deploys_itself_from_its_user_data(
    deployment: Deployment, runner_image: tuple[Path, ...]
) -> None:
    site = deployment.site
    userdata = site.operator("runner_userdata.sh", "'- 2 H 90 80'")
    assert "PRIVATE" not in userdata
    deployment.machine("master").run(f"bash /home/datarun/script_install/allow_runners.sh {_SPARE}")
    spare = site.machine("spare", layers=runner_image, user_data=userdata)
    try:
        wait_until(
            lambda: "runner@spare:" in deployment.machine("master").run(
                "datarun celery -A datarun inspect ping --timeout 3", check=False
            ),
            "the new runner answers", timeout_seconds=180,
        )  # fmt: skip
        assert spare.run("cat /etc/datarun/runner_line").strip() == "2 H 90 80"
    finally:
        log = spare.run("tail -n 40 /var/log/cloud-init-output.log", check=False)
        site.remove("spare")
    assert "The runner is up: 2 H 90 80" in log


def test_a_master_is_deployed_from_its_image_and_removed(
    deployment: Deployment, operator_files: None
) -> None:
    site = deployment.site
    layers = _make_image(deployment, "master")
    # A disk of its own: two masters on one would take each other's results.
    site.machines["disk"].run("install -d -o science -g science ~science/other")
    spare = site.machine("spare", layers=layers)
    try:
        spare.run("rm -f /etc/pip.conf /etc/apt/apt.conf.d/98proxy")
        site.write_settings({"SCIENCEFS_DATARUN": "other"})
        for file in ("env.sh", site.disk_key):
            site.at_operator(
                f"scp -q -o StrictHostKeyChecking=accept-new -F {site.ssh_config} {file} ubuntu@{_SPARE}:"
            )
        printed = site.ssh(
            "spare",
            "sudo install -m 600 env.sh disk_key /home/datarun/script_install/ && rm env.sh disk_key && "
            "bash /home/datarun/script_install/deploy_master_from_image.sh",
        )
        assert "The master is up" in printed
        assert "installed:" not in printed
        assert "created the superuser admin" in printed
        answer = spare.run("curl --silent --insecure --output /dev/null --write-out '%{http_code}' "
                           f"--user 'admin:{site.settings['USER_PSWD']}' https://{_SPARE}/runapp/rawdata/")  # fmt: skip
        assert answer == "200"
        spare.run("bash /home/datarun/script_install/uninstall.sh --yes --with-database", timeout_seconds=120)
        assert (
            spare.run("ls -d /opt/datarun /etc/datarun /home/datarun /var/lib/datarun 2>/dev/null || true")
            == ""
        )
        assert "datarun_db" not in spare.run("runuser -u postgres -- psql -Atc '\\l'")
        ports = spare.run("ss -H -ltn | awk '{ print $4 }' | grep -vE '^(127\\.|\\[::1\\])'")
        assert {line.rsplit(":", 1)[1] for line in ports.splitlines()} == {"22"}
    finally:
        site.remove("spare")
