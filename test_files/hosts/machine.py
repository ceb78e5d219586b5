"""One test host: an Ubuntu with its own systemd, disk, network address and sshd, booted by systemd-nspawn."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from test_files.hosts.bases import use_proxy
from test_files.hosts.cage import Cage, CommandFailed, run
from test_files.hosts.cgroups import CGROUP_PREFIX, IN_OWN_CGROUP, remove_cgroups

BRIDGE = "hosts"
PREFIX_LENGTH = 24
_BOOT_SECONDS = 60.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.1
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def wait_until(condition: Callable[[], object], what: str, *, timeout_seconds: float) -> None:
    """Wait for a condition; raises TimeoutError that names it."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_seconds:g} s")
        time.sleep(_POLL_SECONDS)


class Machine:
    """A host, made but not booted.

    Parameters
    ----------
    cage:
        Where it runs.
    name:
        Its host name, at most 11 characters.
    address:
        Its IPv4 address on the hosts' bridge.
    layers:
        Folders its disk consists of below what it writes itself, the topmost first.
    folder:
        Where it keeps what it writes; becomes a layer for other hosts once it is off.
    disk_mb:
        Size of its disk, where a test wants to fill it.
    """

    def __init__(
        self,
        cage: Cage,
        name: str,
        *,
        address: str,
        layers: Sequence[Path],
        folder: Path,
        disk_mb: int | None = None,
    ) -> None:
        self.cage, self.name, self.address = cage, name, address
        self.folder = folder
        self.written = folder / "disk" / "written"
        self._root = folder / "root"
        self._cgroup = f"{CGROUP_PREFIX}{os.getpid()}-{name}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader: int | None = None
        self._layers = list(layers)
        self._mount(disk_mb)
        self._join_network()

    def _mount(self, disk_mb: int | None) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        disk = self.folder / "disk"
        disk.mkdir()
        if disk_mb is not None:
            self.cage.run("mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", self.name, disk)
        self.cage.run("mkdir", "-p", self.written, disk / "work")
        lower = ":".join(map(str, self._layers))
        options = f"lowerdir={lower},upperdir={self.written},workdir={disk / 'work'}"
        self.cage.run("mount", "-t", "overlay", self.name, "-o", options, self._root)

    def _join_network(self) -> None:
        run_in, host_end, cage_end = self.cage.run, "eth0", f"to-{self.name}"
        run_in("ip", "netns", "add", self.name)
        run_in("ip", "link", "add", cage_end, "type", "veth", "peer", "name", host_end, "netns", self.name)
        run_in("ip", "link", "set", cage_end, "master", BRIDGE, "up")
        # The same for each host of this address, or the others would go on sending to the one before.
        hardware_address = f"02:00:00:00:00:{int(self.address.rsplit('.', 1)[1]):02x}"
        for command in (
            f"link set {host_end} address {hardware_address}",
            f"addr add {self.address}/{PREFIX_LENGTH} dev {host_end}",
            f"link set {host_end} up",
            "link set lo up",
        ):
            run_in("ip", "-netns", self.name, *command.split())

    def prepare(self, *, proxy: str, authorized_key: str, hosts: str) -> None:
        """Give the host what a cloud gives a fresh one: name, names of others, a key for its user, host keys.

        Also a proxy for its packages, which stands for its way out.
        """
        root = self.written
        for name in ("etc/apt/apt.conf.d", "etc/ssh", "home/ubuntu/.ssh"):
            self.cage.run("mkdir", "-p", self._root / name)
        self.write("/etc/hostname", f"{self.name}\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n{hosts}")
        self.write("/home/ubuntu/.ssh/authorized_keys", authorized_key)
        key = root / "etc/ssh/ssh_host_ed25519_key"
        makes_its_own = self.path("/etc/systemd/system/datarun-host-keys.service")
        if not (self.path("/etc/ssh/ssh_host_ed25519_key").exists() or makes_its_own.exists()):
            self.cage.run(
                "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", self._path(key)
            )
        self.cage.run("chroot", self._root, "chown", "-R", "ubuntu:", "/home/ubuntu/.ssh")
        use_proxy(Path(f"/proc/{self.cage.pid}/root{self._root}"), proxy)

    def give_user_data(self, user_data: str) -> None:
        """Put user-data where cloud-init finds it without a cloud."""
        seed = "/var/lib/cloud/seed/nocloud"
        self.cage.run("mkdir", "-p", f"{self._root}{seed}")
        self.write(f"{seed}/meta-data", f"instance-id: {self.name}\nlocal-hostname: {self.name}\n")
        self.write(f"{seed}/user-data", user_data)

    def _path(self, written: Path) -> Path:
        return self._root / written.relative_to(self.written)

    def path(self, name: str) -> Path:
        """A file of the host, as this process can open it."""
        return Path(f"/proc/{self.cage.pid}/root{self._root}{name}")

    def write(self, name: str, content: str) -> None:
        self.path(name).write_text(content)

    def boot(self) -> None:
        """Power the host on, and wait until it takes ssh connections."""
        self.connect()
        self._console = open(self.folder / "console.log", "ab")  # noqa: SIM115 - open while the host runs
        self._nspawn = subprocess.Popen(
            self.cage.inside([
                "sh", "-c", IN_OWN_CGROUP, "sh", self._cgroup,
                "nice", "--adjustment=3", "systemd-nspawn", "--quiet", "--boot", f"--directory={self._root}",
                f"--machine={self.name}",
                "--register=no", "--keep-unit", f"--network-namespace-path=/run/netns/{self.name}",
                "--bind=/dev/fuse", "--resolv-conf=off", "--timezone=off", "--capability=CAP_NET_ADMIN",
                # A machine has no filter of system calls; the runner's sandbox needs these.
                "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
                "--console=pipe", "--kill-signal=SIGRTMIN+4",
            ]),
            stdin=subprocess.DEVNULL, stdout=self._console, stderr=subprocess.STDOUT,
        )  # fmt: skip
        wait_until(self._answers, f"{self.name} answers ssh", timeout_seconds=_BOOT_SECONDS)

    def _answers(self) -> bool:
        if self._nspawn is None or self._nspawn.poll() is not None:
            raise CommandFailed(f"{self.name} did not boot:\n{self.console()}")
        # By way of the network, as others reach it.
        probe = f"exec 3<>/dev/tcp/{self.address}/22 && read -t 2 -u 3 line && [[ $line == SSH-* ]]"
        done = subprocess.run(self.cage.inside(["bash", "-c", probe]), capture_output=True)
        return done.returncode == 0

    def console(self) -> str:
        return (self.folder / "console.log").read_text(errors="replace")[-4000:]

    @property
    def leader(self) -> int:
        """Pid, here, of the host's pid 1."""
        if self._leader is None or not Path(f"/proc/{self._leader}").exists():
            network = self.cage.run("stat", "--format=%i", "--dereference", f"/run/netns/{self.name}").strip()
            found = [pid for pid in self._pids_in_network(int(network)) if _is_init(pid)]
            if not found:
                raise CommandFailed(f"{self.name} is off:\n{self.console()}")
            self._leader = found[0]
        return self._leader

    @staticmethod
    def _pids_in_network(inode: int) -> list[int]:
        found = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and Path(f"/proc/{entry}/ns/net").stat().st_ino == inode:
                    found.append(int(entry))
            except OSError:
                continue  # it ended meanwhile
        return found

    def run(self, script: str, *, timeout_seconds: float = 60, check: bool = True, user: str = "root") -> str:
        """Run a bash script on the host without ssh, as its console would; what it printed."""
        command = (
            ["bash", "-c", script] if user == "root" else ["runuser", "-u", user, "--", "bash", "-c", script]
        )
        return run(
            "nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--root",
            "--wd", "--", "env", "-i", f"PATH={_PATH}", "LC_ALL=C.UTF-8",
            *command,
            timeout_seconds=timeout_seconds, check=check,
        )  # fmt: skip

    def processes(self) -> list[int]:
        """Pids, here, of all processes of the host."""
        namespace = Path(f"/proc/{self.leader}/ns/pid").stat().st_ino
        found = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and Path(f"/proc/{entry}/ns/pid").stat().st_ino == namespace:
                    found.append(int(entry))
            except OSError:
                continue
        return found

    def freeze(self) -> None:
        """Stop every process of the host; its network still acknowledges what it is sent."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def disconnect(self) -> None:
        """Pull the network cable."""
        self.cage.run("ip", "link", "set", f"to-{self.name}", "down")

    def connect(self) -> None:
        self.cage.run("ip", "link", "set", f"to-{self.name}", "up")

    def cut_power(self) -> None:
        """End the host from one moment to the next: nobody is told."""
        self.disconnect()
        os.kill(self.leader, signal.SIGKILL)
        self._wait_until_off()

    def shut_down(self) -> None:
        """End the host as an operator does."""
        self.run("systemctl poweroff", check=False)
        self._wait_until_off()

    def reboot(self) -> None:
        self.shut_down()
        self.boot()

    def _wait_until_off(self) -> None:
        assert self._nspawn is not None
        self._nspawn.wait(_STOP_SECONDS)
        self._console.close()
        remove_cgroups(self._cgroup)
        self._nspawn, self._leader = None, None

    @property
    def is_on(self) -> bool:
        return self._nspawn is not None

    def become_layer(self, folder: Path) -> None:
        """Move what the host, which is off, has written to ``folder``; it goes on on top of that."""
        self.cage.run("umount", self._root)
        self.written.rename(folder)
        shutil.rmtree(self.folder / "disk")
        self._layers.insert(0, folder)
        self._mount(None)

    def snapshot(self, folder: Path) -> tuple[Path, ...]:
        """Copy the host's disk as it is now; the layers above the fresh system for another such host."""
        run("cp", "--archive", self.written, folder, timeout_seconds=300)
        return (folder, *self._layers[:-1])

    def remove(self) -> None:
        """Remove a host with its disk and its place in the network; one that is on loses its power before."""
        if self.is_on:
            self.cut_power()
        # The other end goes with it, even while a process of the host is just ending.
        self.cage.run("ip", "link", "delete", f"to-{self.name}", check=False)
        self.cage.run("ip", "netns", "delete", self.name, check=False)
        self.cage.run("umount", self._root, check=False)
        self.cage.run("umount", self.folder / "disk", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_init(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines())
