"""The system call filter: no network, no way out of the process group, no kernel interfaces a parser has no use for."""

import ctypes
import errno
import platform
import socket
import struct

from quire_runtime.sandbox import kernel

# Architecture token, then numbers of the calls on (x86_64, aarch64); None where the architecture lacks the call.
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_REFUSED: dict[str, tuple[int | None, int]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440), "kcmp": (312, 272),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268),
    "unshare": (272, 97), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "quotactl": (179, 60),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "fanotify_init": (300, 262),
    "linkat": (265, 37), "symlinkat": (266, 36), "mknodat": (259, 33),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "syslog": (103, 116), "vhangup": (153, 58),
}  # fmt: skip
# The older names of some of them, which aarch64 never had: link, symlink, mknod, modify_ldt, iopl, ioperm, uselib.
_REFUSED_X86 = (86, 88, 133, 154, 172, 173, 134)
_PRETENDED = {"setsid": (112, 157), "setpgid": (109, 154)}
_NEW_PROGRAM = {"execve": (59, 221), "execveat": (322, 281)}
_FORK_X86 = (57, 58)
_SIGNALS_ANY = {"tkill": (200, 130), "pidfd_send_signal": (424, 424)}
_OF_A_PROCESS = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
_PRLIMIT = (302, 261)
_SOCKET = {"socket": (41, 198), "socketpair": (53, 199)}
_CLONE, _CLONE3 = (56, 220), 435
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020080

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_SET_MODE_FILTER = 1
_SECCOMP = (317, 277)


def build(pid: int, *, allow_exec: bool) -> bytes:
    """The filter of process `pid` as a BPF program for this machine; raises OSError where its architecture is unknown.

    `setsid` and `setpgid` report success and do nothing, so that killing a worker's process group leaves nobody behind.
    Without `allow_exec` there are neither new processes (threads stay possible), nor signals to any but the process
    itself, nor any socket but a socketpair.
    """
    machine = "aarch64" if platform.machine() == "arm64" else platform.machine()
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    column, token = _ARCHITECTURES[machine]
    deny = _ERRNO | errno.EPERM
    program = [_op(_LOAD, _ARCH), *_unless(token, _KILL_PROCESS), _op(_LOAD, _NUMBER)]
    if column == 0:  # the x32 calls share the token and would pass every comparison below
        program += [_op(_AT_LEAST, 0x40000000, 0, 1), _op(_RETURN, deny)]
    refused = [row[column] for row in _REFUSED.values()] + list(_REFUSED_X86 if column == 0 else ())
    if not allow_exec:
        refused += [row[column] for row in (_NEW_PROGRAM | _SIGNALS_ANY).values()]
        refused += list(_FORK_X86 if column == 0 else ())
    for number in refused:
        program += _when(number, _op(_RETURN, deny))
    for row in _PRETENDED.values():
        program += _when(row[column], _op(_RETURN, _ERRNO | 0))
    # The flags of clone3 lie in memory, where a filter cannot look: libc falls back to clone.
    program += _when(_CLONE3, _op(_RETURN, _ERRNO | errno.ENOSYS))
    clone = [_op(_LOAD, _FIRST_ARGUMENT), _op(_ANY_BIT, _CLONE_NAMESPACES, 0, 1), _op(_RETURN, deny)]
    if not allow_exec:
        clone += [_op(_ANY_BIT, _CLONE_THREAD, 1, 0), _op(_RETURN, deny)]
    program += _when(_CLONE[column], *clone, _op(_RETURN, _ALLOW))
    local = [_op(_LOAD, _FIRST_ARGUMENT), *_unless(int(socket.AF_UNIX), deny), _op(_RETURN, _ALLOW)]
    program += _when(_SOCKET["socketpair"][column], *local)
    program += _when(_SOCKET["socket"][column], *(local if allow_exec else [_op(_RETURN, deny)]))
    own = [_op(_LOAD, _FIRST_ARGUMENT), *_unless(pid, deny), _op(_RETURN, _ALLOW)]
    for row in _OF_A_PROCESS.values() if not allow_exec else ():
        program += _when(row[column], *own)
    # The limits of another process of the same user could be set to nothing; 0 is the caller itself.
    own.insert(1, _op(_EQUAL, 0, 2, 0))
    program += _when(_PRLIMIT[column], *own)
    program.append(_op(_RETURN, _ALLOW))
    return b"".join(program)


def install(program: bytes) -> None:
    """Puts this process and its descendants under the filter, for good; needs no_new_privileges first."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    column = _ARCHITECTURES["aarch64" if platform.machine() == "arm64" else platform.machine()][0]
    kernel.syscall(_SECCOMP[column], _SET_MODE_FILTER, 0, header)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _when(number: int | None, *body: bytes) -> list[bytes]:
    return [] if number is None else [_op(_EQUAL, number, 0, len(body)), *body]


def _unless(value: int, action: int) -> list[bytes]:
    return [_op(_EQUAL, value, 1, 0), _op(_RETURN, action)]
