"""The few system calls that Python has no function for, through ctypes."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

#: System call numbers of Landlock: the same on every architecture.
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_VERSION_FLAG = 1
_LANDLOCK_RULE_PATH_BENEATH = 1


class RulesetAttributes(ctypes.Structure):
    """``struct landlock_ruleset_attr`` of linux/landlock.h."""

    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    """``struct landlock_path_beneath_attr`` of linux/landlock.h."""

    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _FilterProgram(ctypes.Structure):
    """``struct sock_fprog`` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class _CapabilityHeader(ctypes.Structure):
    """``struct __user_cap_header_struct`` of linux/capability.h."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_PR_SET_NAME = 15
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_CAPABILITY_VERSION_3 = 0x20080522
_BYTES_PER_INSTRUCTION = 8


def _checked(result: int, name: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(process_descriptor: int, flags: int) -> None:
    """Move this process into namespaces of the process that is open as a pidfd."""
    _checked(_libc.setns(ctypes.c_int(process_descriptor), ctypes.c_int(flags)), "setns")


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str = "") -> None:
    kind_bytes = None if kind is None else kind.encode()
    arguments = (os.fsencode(source), os.fsencode(target), kind_bytes)
    _checked(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode()), f"mount {target}")


def prctl(option: int, *arguments: int) -> int:
    padded = [*arguments, 0, 0, 0, 0][:4]
    return _checked(_libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)), "prctl")


def set_name(name: str) -> None:
    """Name this process, as ``ps`` and ``top`` show it: at most 15 bytes."""
    buffer = ctypes.create_string_buffer(name.encode())
    prctl(_PR_SET_NAME, ctypes.addressof(buffer))


def set_capabilities(*, effective: int, permitted: int, inheritable: int) -> None:
    """Set the three sets of this thread, each a bit mask of capability numbers."""
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    low, high = (
        [mask >> shift & 0xFFFFFFFF for mask in (effective, permitted, inheritable)] for shift in (0, 32)
    )
    data = (ctypes.c_uint32 * 6)(*low, *high)
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref(data)), "capset")


def set_seccomp_filter(program: bytes) -> None:
    """Run ``program``, cBPF instructions of 8 bytes each, on every system call from now on."""
    buffer = ctypes.create_string_buffer(program, len(program))
    length = len(program) // _BYTES_PER_INSTRUCTION
    filter_program = _FilterProgram(length, ctypes.cast(buffer, ctypes.c_void_p))
    prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filter_program))


def landlock_abi() -> int:
    """The kernel's Landlock version; 0 where it has none."""
    version: int = _libc.syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET),
        None,
        ctypes.c_size_t(0),
        ctypes.c_uint32(_LANDLOCK_VERSION_FLAG),
    )
    return max(version, 0)


def landlock_ruleset(attributes: RulesetAttributes) -> int:
    """Make a ruleset and return its descriptor."""
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    number = ctypes.c_long(_LANDLOCK_CREATE_RULESET)
    return _checked(
        _libc.syscall(number, ctypes.byref(attributes), size, ctypes.c_uint32(0)), "landlock ruleset"
    )


def landlock_allow(ruleset: int, parent: int, access: int) -> None:
    """Allow ``access`` to what lies beneath the open folder, or to the open file, ``parent``."""
    rule = _PathBeneath(access, parent)
    number, kind = ctypes.c_long(_LANDLOCK_ADD_RULE), ctypes.c_int(_LANDLOCK_RULE_PATH_BENEATH)
    _checked(
        _libc.syscall(number, ctypes.c_int(ruleset), kind, ctypes.byref(rule), ctypes.c_uint32(0)),
        "landlock rule",
    )


def landlock_restrict(ruleset: int) -> None:
    """Restrict this process and its children to the ruleset, for good."""
    number = ctypes.c_long(_LANDLOCK_RESTRICT_SELF)
    _checked(_libc.syscall(number, ctypes.c_int(ruleset), ctypes.c_uint32(0)), "landlock restrict")
