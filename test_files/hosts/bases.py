"""Root file systems of fresh Ubuntu hosts, made once and kept in a cache folder."""

import dataclasses
import hashlib
import os
import shutil
import sys
from pathlib import Path

from test_files.hosts.cage import CommandFailed, run
from test_files.hosts.locks import held, remove_unless_held

#: What a cloud image has, as far as datarun's scripts can meet it.
_PACKAGES = (
    "apt,apt-utils,tzdata,lsb-release,locales,openssh-server,python3,python3-venv,sudo,iproute2,procps,netbase,"
    "ca-certificates,curl,systemd-sysv,dbus,ubuntu-keyring"
)
#: Ubuntu's releases by the name of their archive.
SUITES = {"22.04": "jammy", "24.04": "noble"}

#: Ubuntu's public key, which signs the archives of these releases; not every Debian has a package with it.
#: Its fingerprint is F6ECB3762474EDA9D21B7022871920D1991BC93C.
_ARCHIVE_KEY = Path(__file__).with_name("ubuntu-archive-2018.asc")
#: Where mmdebstrap and the hosts get their packages from.
_ARCHIVE = "http://archive.ubuntu.com/ubuntu"
_CA_BUNDLE = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
_BOOTSTRAP_SECONDS = 900.0


def cache_folder() -> Path:
    """Folder of bases and deployed hosts, from ``DR_HOSTS_CACHE``; only root may look into it."""
    folder = Path(os.environ.get("DR_HOSTS_CACHE", "/var/cache/datarun-hosts"))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@dataclasses.dataclass(frozen=True)
class Base:
    """What the cache holds of an Ubuntu release, in one folder.

    ``fresh`` is the root of a fresh host. ``deployed`` has a folder for each host that an earlier run
    deployed, with what lies above the fresh one, and a file ``complete`` once all are there.
    """

    folder: Path

    @property
    def fresh(self) -> Path:
        return self.folder / "fresh"

    @property
    def deployed(self) -> Path:
        return self.folder / "deployed"


def base(release: str) -> Base:
    """The cache's folder of an Ubuntu release such as ``22.04``; the fresh host is made if there is none."""
    suite = SUITES[release]
    key = hashlib.sha256(f"{_PACKAGES} {_ACCOUNT} {_apt_settings()} 4".encode()).hexdigest()[:12]
    found = Base(cache_folder() / f"{suite}-{key}")
    with held(cache_folder()):
        if not found.fresh.exists():
            for outdated in cache_folder().glob(f"{suite}-*"):
                remove_unless_held(outdated)
            _make(suite, found.fresh)
    return found


def why_no_packages() -> str:
    """Why hosts can get no packages here, in words; empty where they can."""
    for suite in SUITES.values():
        try:
            run("curl", "--silent", "--show-error", "--fail", "--head", "--max-time", "20", "--retry", "3",
                "--retry-all-errors", f"{_ARCHIVE}/dists/{suite}/InRelease", timeout_seconds=120)  # fmt: skip
        except CommandFailed as error:
            return f"Ubuntu's archive cannot be reached, from which test hosts get their packages: {error}"
    return ""


def _make(suite: str, folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    unfinished = folder.with_suffix(".unfinished")
    options = [f"--aptopt={line}" for line in _apt_settings().splitlines()]
    run(
        # Its mounts must end with it, however it ends.
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        "nice", "mmdebstrap", "--variant=apt", "--mode=root", "--format=directory", f"--include={_PACKAGES}",
        "--components=main,universe", f"--keyring={_ARCHIVE_KEY}", "--dpkgopt=force-unsafe-io", *options,
        suite, unfinished,
        timeout_seconds=_BOOTSTRAP_SECONDS,
    )  # fmt: skip
    _like_a_cloud_image(unfinished)
    unfinished.rename(folder)


# The account of a cloud image, which may become root without a password.
_ACCOUNT = """
useradd --create-home --shell /bin/bash ubuntu 2>/dev/null || id ubuntu >/dev/null
echo 'ubuntu ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/90-cloud-init-users
rm -f /etc/ssh/ssh_host_* /etc/machine-id
touch /etc/machine-id
systemctl mask --quiet systemd-networkd-wait-online.service console-getty.service
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer
"""


def _like_a_cloud_image(root: Path) -> None:
    run("chroot", root, "bash", "-ec", _ACCOUNT)
    (root / "etc/apt/apt.conf.d/99no-translations").write_text('Acquire::Languages "none";\n')
    # Nothing here has to outlive a power cut of the machine that carries the tests.
    (root / "etc/dpkg/dpkg.cfg.d/99no-fsync").write_text("force-unsafe-io\n")
    bundle = root / "etc/ssl/certs/test-proxy.crt"
    shutil.copy(_CA_BUNDLE, bundle)
    bundle.chmod(0o644)


def _apt_settings() -> str:
    """What this machine tells its own apt about checks of dates, for a mirror that lags."""
    lines = run("apt-config", "dump").splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(("Acquire::Check-", "Acquire::Max-")))


def use_proxy(root: Path, address: str) -> None:
    """Let apt and pip of a host go through the proxy at ``address`` (host:port)."""
    (root / "etc/apt/apt.conf.d/98proxy").write_text(f'Acquire::http::Proxy "http://{address}";\n')
    options = [f"proxy = http://{address}", "cert = /etc/ssl/certs/test-proxy.crt", "timeout = 60"]
    if index := _pip_index():
        options.append(f"index-url = {index}")
    (root / "etc/pip.conf").write_text("\n".join(["[global]", *options, ""]))


def _pip_index() -> str:
    """The package index that this machine's pip is told to use; empty for the public one."""
    try:
        return (
            os.environ.get("PIP_INDEX_URL")
            or run(sys.executable, "-m", "pip", "config", "get", "global.index-url").strip()
        )
    except CommandFailed:
        return ""  # no such setting
