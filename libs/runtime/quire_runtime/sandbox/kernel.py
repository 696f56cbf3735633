"""The Linux calls that the standard library does not offer: prctl, unshare, capset and raw system calls."""

import ctypes
import os

CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
CAP_DAC_READ_SEARCH = 2

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, call: str) -> int:
    """`result` of a libc call, or OSError with its errno when it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def syscall(number: int, *args: object) -> int:
    """A raw system call; integers are passed as 64-bit values."""
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return checked(_libc.syscall(ctypes.c_long(number), *values), f"syscall {number}")


def prctl(option: int, *args: int) -> None:
    padded = [ctypes.c_ulong(a) for a in (*args, 0, 0, 0, 0)[:4]]
    checked(_libc.prctl(ctypes.c_int(option), *padded), f"prctl {option}")


def unshare(flags: int) -> None:
    checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def die_with_parent(parent: int, signal: int) -> None:
    """Asks for `signal` when the parent dies; ends this process at once when it is dead already."""
    prctl(_PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the reaper of all descendants whose own parent died."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def keep_capabilities() -> None:
    """Keeps the permitted capabilities over the next change of the user id."""
    prctl(_PR_SET_KEEPCAPS, 1)


def stay_dumpable() -> None:
    """Gives /proc/self back to this process after a change of the user id."""
    prctl(_PR_SET_DUMPABLE, 1)


def set_capabilities(capability: int | None) -> None:
    """Reduces this process, and what it executes, to one capability or to none."""
    bits = 0 if capability is None else 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    checked(_libc.capset(header, data), "capset")
    if capability is not None:
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
