"""Keeps LibreOffice's socket out of /tmp, where a sandboxed process may create nothing.

A new LibreOffice listens for other instances of itself, and gives up where it cannot. It puts the socket into /tmp if
`access(2)` calls that writable, which asks about ownership and knows nothing of a sandbox; only otherwise does it take
OSL_SOCKET_PATH. So the question is answered here, by a filter of system calls: nothing is writable, to those who ask.
What LibreOffice opens to write, it can. Where the filter cannot be set it finds /tmp, and works outside a sandbox.
"""

import contextlib
import ctypes
import errno
import os
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000

_CALLS = {
    "x86_64": (0xC000003E, ((21, 1), (269, 2), (439, 2))),
    "aarch64": (0xC00000B7, ((48, 2), (439, 2))),
}
"""By machine: its number, then access, faccessat and faccessat2 and which of their arguments is the mode."""


def nothing_is_writable() -> None:
    """Makes this process, and the program it becomes, be told so by `access(2)`. For `preexec_fn`."""
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        return
    architecture, calls = _CALLS[platform.machine()]
    program = [_op(_LOAD, _ARCHITECTURE), _op(_EQUAL, architecture, 1, 0), _op(_RETURN, _ALLOW)]
    for number, mode in calls:
        program += [
            _op(_LOAD, _NUMBER),
            _op(_EQUAL, number, 0, 4),
            _op(_LOAD, _ARGUMENTS + 8 * mode),
            _op(_ANY_BIT, os.W_OK, 0, 1),
            _op(_RETURN, _ERRNO | errno.EACCES),
            _op(_RETURN, _ALLOW),
        ]
    program.append(_op(_RETURN, _ALLOW))
    code = b"".join(program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
