"""The seccomp filter: which system calls a fold is refused. Built outside the sandbox, by libseccomp."""

import ctypes
import ctypes.util
import errno
import os
import socket
import tempfile
from typing import Final

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_COMPARE_NOT_EQUAL, _COMPARE_EQUAL, _COMPARE_MASKED = 1, 4, 7
_PR_SET_DUMPABLE = 4
_TIOCSTI = 0x5412
#: Flags of clone(2) that make a namespace.
_NAMESPACE_FLAGS = (
    0x00020000,
    0x02000000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
    0x00000080,
)

#: What each group would be good for is what a fold must not do.
REFUSED = {
    "other processes": (
        "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    ),
    "mounts and roots": (
        "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount",
        "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount", "quotactl",
        "quotactl_fd", "swapon", "swapoff", "open_by_handle_at", "name_to_handle_at", "fanotify_init",
    ),
    "namespaces and identity": (
        "unshare", "setns", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid",
        "setfsuid", "setfsgid", "setgroups", "capset", "personality",
    ),
    "kernel surface": (
        "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
        "add_key", "request_key", "keyctl", "init_module", "finit_module", "delete_module", "kexec_load",
        "kexec_file_load", "reboot", "syslog", "acct", "modify_ldt", "iopl", "ioperm", "vhangup", "uselib",
        "lookup_dcookie", "nfsservctl", "sysfs", "_sysctl", "vmsplice",
    ),
    "clocks of the machine": (
        "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "sethostname",
        "setdomainname",
    ),
    "memory that no limit sees": (
        "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl",
        "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "move_pages",
        "migrate_pages",
    ),
}  # fmt: skip


class _Argument(ctypes.Structure):
    """``struct scmp_arg_cmp`` of seccomp.h."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def build_filter() -> bytes:
    """The filter as cBPF instructions; empty where this host has no libseccomp."""
    name = ctypes.util.find_library("seccomp") or "libseccomp.so.2"
    try:
        library = ctypes.CDLL(name, use_errno=True)
    except OSError:
        return b""
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    try:
        _add_rules(library, context)
        with tempfile.TemporaryFile() as stream:
            _checked(library.seccomp_export_bpf(context, stream.fileno()), "seccomp_export_bpf")
            stream.seek(0)
            return stream.read()
    finally:
        library.seccomp_release(context)


def _add_rules(library: ctypes.CDLL, context: ctypes.c_void_p) -> None:
    def refuse(name: str, *conditions: _Argument, with_errno: int = errno.EPERM) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return  # a call that this libseccomp does not know, or this architecture does not have
        array = (_Argument * len(conditions))(*conditions)
        action = ctypes.c_uint32(_ERRNO | with_errno)
        result = library.seccomp_rule_add_array(context, action, number, len(conditions), array)
        _checked(result, f"the seccomp rule of {name}")

    for names in REFUSED.values():
        for name in names:
            refuse(name)
    for name in ("socket", "socketpair"):
        refuse(name, _Argument(0, _COMPARE_NOT_EQUAL, socket.AF_UNIX, 0), with_errno=errno.EAFNOSUPPORT)
    for flag in _NAMESPACE_FLAGS:
        refuse("clone", _Argument(0, _COMPARE_MASKED, flag, flag))
    # Its flags lie in memory, where a filter can't see them: the C library falls back to clone.
    refuse("clone3", with_errno=errno.ENOSYS)
    # A process that is not dumpable would hide its memory from the supervisor.
    refuse("prctl", _Argument(0, _COMPARE_EQUAL, _PR_SET_DUMPABLE, 0))
    refuse("ioctl", _Argument(1, _COMPARE_MASKED, 0xFFFFFFFF, _TIOCSTI))


def _checked(result: int, what: str) -> None:
    if result < 0:
        raise OSError(-result, f"{what}: {os.strerror(-result)}")
