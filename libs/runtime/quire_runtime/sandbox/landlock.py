"""Landlock: lets a process and its descendants reach only the files they are given (Linux 5.13 and later)."""

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from quire_runtime.sandbox import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE, _READ, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REGULAR, _MAKE_SOCKET = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 9
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE
# No symbolic links, devices or FIFOs even in the worker's own directory: the parent reads what is left there.
_OWN = (
    _READ
    | _READ_DIR
    | _WRITE
    | _TRUNCATE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REGULAR
    | _MAKE_SOCKET
    | _REFER
)

SCOPES_SIGNALS = 6
"""From this ABI on a process reaches no signal and no abstract socket outside."""

SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/opt", "/sys/devices/system/cpu", "/sys/fs/cgroup"),
    *(f"/proc/{name}" for name in ("self", "cpuinfo", "meminfo", "stat", "filesystems", "sys/vm", "sys/kernel/random")),
    *(
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/alternatives",
        "/etc/localtime",
        "/etc/timezone",
    ),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf"),
    *("/etc/mime.types", "/etc/magic", "/etc/fonts", "/etc/libreoffice", "/etc/papersize", "/etc/paperspecs"),
    *("/etc/java", "/etc/ImageMagick-6", "/etc/ImageMagick-7", "/var/cache/fontconfig", "/var/lib/libreoffice"),
    *("/dev/urandom", "/dev/random"),
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full")


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The kernel's Landlock ABI, from 1; OSError where there is none."""
    return kernel.syscall(_CREATE_RULESET, None, 0, _VERSION)


def restrict(own: Path, readable: Iterable[str], *, execute: bool) -> None:
    """Leaves `own` writable, the system and `readable` readable (and executable), nothing else.

    From ABI 4 it refuses TCP too.
    """
    abi = version()
    handled = (1 << 13) - 1
    handled |= _REFER if abi >= 2 else 0
    handled |= _TRUNCATE if abi >= 3 else 0
    rules = _Ruleset(fs=handled, net=0b11 if abi >= 4 else 0, scoped=0b11 if abi >= SCOPES_SIGNALS else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = kernel.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    try:
        read = _READ | _READ_DIR | (_EXECUTE if execute else 0)
        for path in {*SYSTEM, *readable}:
            _allow(ruleset, path, read & handled)
        for path in DEVICES:
            _allow(ruleset, path, (_READ | _WRITE | _TRUNCATE) & handled)
        _allow(ruleset, str(own), _OWN & handled)
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(parent).st_mode):
                rights &= _OF_FILES
            rule = _Beneath(allowed=rights, parent=parent)
            kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(parent)
