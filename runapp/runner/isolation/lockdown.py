"""What is taken away from a fold, each function one thing.

The supervisor calls ``make_namespaces`` and ``mount_scratch``; the fold enters them and, before anything of
a submission is even looked at, gives up the rest. Everything here needs no privilege beyond that of
making a user namespace.
"""

import os
import resource
from collections.abc import Sequence

from runapp.runner.isolation import places, syscalls

# linux/sched.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_CLONE_NEWCGROUP = 0x02000000

_OF_A_FOLD = _CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWNET | _CLONE_NEWCGROUP

# linux/mount.h
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18

# linux/prctl.h
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 38, 24, 28
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
_CAP_SYS_PTRACE = 19
_CAP_LAST = 63
#: NOROOT and NO_SETUID_FIXUP with their locks: being uid 0 gives no capabilities.
_SECUREBITS_LOCKED = 0b1111

# linux/landlock.h: which file system rights each version of Landlock knows
_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1, 2, 4, 8
_FS_TRUNCATE, _FS_IOCTL_DEV, _FS_MAKE_DEVICES = 1 << 14, 1 << 15, 1 << 6 | 1 << 11
_FS_RIGHTS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_BIND_AND_CONNECT_TCP = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

#: Most files in scratch and in /dev/shm.
SCRATCH_INODES = 16 * 1024
#: Devices a fold may open, and write to.
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_MAX_OPEN_FILES = 1024
#: Room in the address space for what is reserved and never used: thread stacks, allocator arenas.
_RESERVED_BYTES = 8 << 30
#: Room in private writable memory beyond the limit, which the supervisor keeps exactly.
_HEADROOM_BYTES = 1 << 30


def own_users() -> None:
    """Leave the view's user namespace for one in which this process, and what it forks, has all capabilities.

    They are good for namespaces made from here and for nothing that was there before. Raises ``OSError``
    where the host refuses.
    """
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(_CLONE_NEWUSER)
    _map_users(uid, gid)


def make_namespaces() -> None:
    """Leave the server's users, mounts, network, host name, SysV IPC; children get a new process tree, too.

    The network is one without any interface that is up. Raises ``OSError`` where the host refuses.
    """
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(_CLONE_NEWUSER | _CLONE_NEWPID | _OF_A_FOLD)
    _map_users(uid, gid)


def fork_into_tree(keeper: int) -> int:
    """Fork a child into the process tree that is kept by the process open as ``keeper``; as ``os.fork``.

    Until the next call, whatever this process forks would be born into that tree, too.
    """
    syscalls.setns(keeper, _CLONE_NEWPID)
    return os.fork()


def enter_namespaces(keeper: int) -> None:
    """Enter the other namespaces of the process that is open as ``keeper``."""
    syscalls.setns(keeper, _CLONE_NEWUSER | _OF_A_FOLD)


def mount_scratch(scratch_kb: int) -> None:
    """Mount an empty scratch and /dev/shm, half of ``scratch_kb`` each, where no program runs."""
    syscalls.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    for place in (str(places.SCRATCH), str(places.SHARED_MEMORY)):
        options = f"size={max(scratch_kb // 2, 4)}k,nr_inodes={SCRATCH_INODES},mode=0700"
        syscalls.mount("tmpfs", place, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, options)


def mount_own_processes() -> None:
    """Make /proc show the fold's own process tree and no other. Called from within that tree."""
    syscalls.mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def keep_ptrace_capability_over_exec() -> None:
    """Let the first process of the tree hold a capability that folds lack: so they can't trace or read it."""
    mask = 1 << _CAP_SYS_PTRACE
    everything = (1 << (_CAP_LAST + 1)) - 1
    known = int(_read_status("CapPrm"), 16)
    syscalls.set_capabilities(effective=known & everything, permitted=known, inheritable=mask)
    syscalls.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_SYS_PTRACE)


def limit_resources(
    *, memory_kb: int, data_bytes: int, wall_seconds: float, processes: int, file_bytes: int
) -> None:
    """Limits of each process of the fold. ``data_bytes`` is what it maps and shares with other folds."""
    pages = os.sysconf("SC_PAGE_SIZE")
    with open("/proc/self/statm") as stream:
        sizes = [int(field) * pages for field in stream.read().split()]
    memory = memory_kb * 1024
    limits = {
        resource.RLIMIT_AS: sizes[0] + data_bytes + memory + _RESERVED_BYTES,
        resource.RLIMIT_DATA: sizes[5] + data_bytes + memory + _HEADROOM_BYTES,
        # The tree's deadline is kept by the supervisor; this one holds if that is gone.
        resource.RLIMIT_CPU: int(wall_seconds * (os.cpu_count() or 1)) + 60,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: _MAX_OPEN_FILES,
        resource.RLIMIT_NPROC: processes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 64 * 1024,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
    }
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, allowed))


def drop_capabilities() -> None:
    """Give up every capability in every set, and the way by which uid 0 would get them back."""
    syscalls.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    syscalls.prctl(_PR_SET_SECUREBITS, _SECUREBITS_LOCKED)
    with open("/proc/sys/kernel/cap_last_cap") as stream:
        last = int(stream.read())
    for capability in range(last + 1):
        syscalls.prctl(_PR_CAPBSET_DROP, capability)
    syscalls.set_capabilities(effective=0, permitted=0, inheritable=0)


def renounce_privileges() -> None:
    """No program that this process starts ever gains a privilege (``no_new_privs``)."""
    syscalls.prctl(_PR_SET_NO_NEW_PRIVS, 1)


def restrict_files(readable: Sequence[str], writable: Sequence[str]) -> None:
    """By Landlock: read and run beneath ``readable``, read and write beneath ``writable``, nothing else.

    Newer kernels also refuse TCP, and abstract sockets of and signals to processes outside. Does nothing on a
    kernel without Landlock.
    """
    abi = syscalls.landlock_abi()
    if not abi:
        return
    rights = _FS_RIGHTS_OF_ABI[max(known for known in _FS_RIGHTS_OF_ABI if known <= abi)]
    ruleset = syscalls.landlock_ruleset(
        syscalls.RulesetAttributes(
            rights,
            _NET_BIND_AND_CONNECT_TCP if abi >= 4 else 0,
            _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0,
        )
    )
    read = _FS_EXECUTE | _FS_READ_FILE | _FS_READ_DIR
    write = rights & ~(_FS_EXECUTE | _FS_MAKE_DEVICES | _FS_IOCTL_DEV)
    try:
        _allow(ruleset, readable, read & rights)
        _allow(ruleset, writable, write)
        _allow(ruleset, _DEVICES, (_FS_READ_FILE | _FS_WRITE_FILE | _FS_TRUNCATE) & rights)
        syscalls.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, places: Sequence[str], access: int) -> None:
    for place in places:
        try:
            parent = os.open(place, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            syscalls.landlock_allow(ruleset, parent, access)
        finally:
            os.close(parent)


def refuse_system_calls(program: bytes) -> None:
    """Refuse the system calls that ``refusals`` lists; ``program`` is empty on a host without libseccomp."""
    if program:
        syscalls.set_seccomp_filter(program)


def _read_status(field: str) -> str:
    with open("/proc/self/status") as stream:
        return next(line.split()[1] for line in stream if line.startswith(f"{field}:"))


def _map_users(uid: int, gid: int) -> None:
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")


def _write(path: str, text: str) -> None:
    with open(path, "w") as stream:
        stream.write(text)
