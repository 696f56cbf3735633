"""The life of a worker: it takes one call after another from its socket and answers each, until it is killed."""

import errno
import importlib
import math
import os
import resource
import socket
import tempfile
import traceback
from typing import Any

from quire_runtime.errors import Permanent
from quire_runtime.sandbox import frames

MESSAGE_CHARS, TRACEBACK_CHARS = 4_000, 16_000


def serve(sock: socket.socket, output_bytes: int) -> None:
    """Answers calls until the parent closes the socket."""
    while (request := frames.receive(sock)) is not None:
        reply = _answer(request)
        try:
            frame = frames.encode(reply)
        except (TypeError, ValueError, RecursionError) as error:
            frame = frames.encode({"malformed": str(error)[:MESSAGE_CHARS]})
        if (size := len(frame) - frames.HEADER.size) > output_bytes:
            frame = frames.encode({"oversize": size})
        sock.sendall(frame)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        _enter(request["directory"], request["cpu_s"])
        module, _, name = request["function"].partition(":")
        return {"ok": getattr(importlib.import_module(module), name)(**request["arguments"])}
    except Permanent as verdict:
        return {"permanent": [_clean(verdict.reason), _clean(verdict.detail)]}
    except MemoryError:
        return {"memory": True}
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            return {"file": True}
        return {"error": [type(error).__name__, _clean(str(error)), _clean(_text(error), TRACEBACK_CHARS)]}
    except BaseException as error:  # sys.exit in a parser, or a panic of its Rust side
        return {"crash": _clean(f"{type(error).__name__}: {error}")}


def _enter(directory: str, cpu_s: float) -> None:
    os.chdir(directory)
    os.environ["TMPDIR"] = os.environ["HOME"] = directory
    tempfile.tempdir = None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(usage.ru_utime + usage.ru_stime + cpu_s), hard))


def _text(error: Exception) -> str:
    return "".join(traceback.format_exception(error))[-TRACEBACK_CHARS:]


def _clean(text: str, limit: int = MESSAGE_CHARS) -> str:
    """Text that JSON can carry: bounded and without lone surrogates."""
    return text[:limit].encode(errors="replace").decode()
