"""What the parent makes of a worker's answer, or of its end; nothing a worker says is trusted."""

import signal
from typing import Any

import orjson

from quire_runtime.errors import Permanent
from quire_runtime.sandbox.errors import (
    SandboxCrashed,
    SandboxError,
    SandboxMemory,
    SandboxOutput,
    SandboxTimeout,
    SandboxUnavailable,
)
from quire_runtime.sandbox.host import Exit
from quire_runtime.sandbox.limits import Limits

_OUT_OF_MEMORY = ("memory allocation of", "bad_alloc", "out of memory", "cannot allocate memory", "memoryerror")


def value(body: bytes, limits: Limits) -> Any:
    """The value of a reply, or the exception it stands for."""
    try:
        reply = orjson.loads(body)
    except ValueError as error:
        raise SandboxOutput(f"no JSON: {error}", malformed=True) from None
    match reply:
        case {"ok": value}:
            return value
        case {"permanent": [str(reason), str(detail)]}:
            raise Permanent(reason, detail)
        case {"error": [str(kind), str(message), str(traceback)]}:
            raise SandboxError(kind, message, traceback)
        case {"memory": True}:
            raise SandboxMemory(limits.memory_bytes)
        case {"file": True}:
            raise SandboxOutput(f"a file of more than {limits.file_bytes} bytes")
        case {"oversize": int(size)}:
            raise SandboxOutput(f"a result of {size} bytes, where {limits.output_bytes} are allowed")
        case {"crash": str(detail)}:
            raise SandboxCrashed(code=1, detail=detail)
        case {"malformed": str(why)}:
            raise SandboxOutput(f"no JSON value: {why}", malformed=True)
        case _:
            raise SandboxOutput("an answer of unknown form", malformed=True)


def verdict(end: Exit | None, limits: Limits) -> Exception:
    """What the end of a worker says about its document."""
    if end is None:
        return SandboxUnavailable("the sandbox died during this job")
    if end.signal == signal.SIGXCPU or (end.signal == signal.SIGKILL and end.cpu_s >= limits.cpu_s):
        return SandboxTimeout("CPU", limits.cpu_s)
    # Nobody but the kernel kills a worker whose end surprises us: it does so when memory runs out.
    if end.signal == signal.SIGKILL or any(words in end.tail.lower() for words in _OUT_OF_MEMORY):
        return SandboxMemory(limits.memory_bytes)
    return SandboxCrashed(signal=end.signal, code=end.code, detail=end.tail)
