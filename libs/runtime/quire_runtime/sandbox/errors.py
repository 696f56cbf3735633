"""How a job in the sandbox can fail, and what each failure means for its document."""

import signal as signals

from quire_runtime.errors import Permanent


class SandboxError(Exception):
    """The called function raised: `kind` is the exception's type, `traceback` its text (bounded)."""

    def __init__(self, kind: str, message: str, traceback: str = "") -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.traceback = traceback


class SandboxUnavailable(Exception):
    """The sandbox itself could not run the job; the document is not to blame, so this is transient."""


class SandboxStopped(Exception):
    """The worker was given up because of what its document made it do; the next job gets a fresh one."""


class SandboxTimeout(SandboxStopped):
    """The job used up its wall or CPU seconds and its processes were killed."""

    def __init__(self, clock: str, limit_s: float) -> None:
        super().__init__(f"stopped after {limit_s:g} s of {clock} time")
        self.clock = clock
        self.limit_s = limit_s


class SandboxMemory(SandboxStopped):
    """The job asked for more memory than it may have."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"needed more than {limit_bytes / 2**20:.0f} MiB of memory")
        self.limit_bytes = limit_bytes


class SandboxCrashed(SandboxStopped):
    """The worker ended by itself: by `signal` (number) or with exit `code`; `detail` is the end of its stderr."""

    def __init__(self, *, signal: int | None = None, code: int | None = None, detail: str = "") -> None:
        super().__init__(f"ended by {_signal_name(signal)}" if signal is not None else f"exited with code {code}")
        self.signal = signal
        self.code = code
        self.detail = detail


class SandboxOutput(SandboxStopped):
    """The result is too large, or no JSON value at all (`malformed`)."""

    def __init__(self, message: str, *, malformed: bool = False) -> None:
        super().__init__(message)
        self.malformed = malformed


def as_permanent(stopped: SandboxStopped) -> Permanent:
    """The verdict on a document whose processing had to be stopped, worded for its owner: `limit` or `corrupt`."""
    match stopped:
        case SandboxTimeout():
            return Permanent("limit", f"Processing this document took longer than the {stopped.limit_s:g} s allowed.")
        case SandboxMemory():
            size = f"{stopped.limit_bytes / 2**20:.0f} MiB"
            return Permanent("limit", f"Processing this document needs more than the {size} of memory allowed.")
        case SandboxCrashed(signal=signals.SIGABRT, detail=detail) if not detail.strip():
            # native code, PDFium among it, answers a refused allocation by aborting without a word
            return Permanent("limit", "Processing this document needs more memory than is allowed.")
        case SandboxOutput(malformed=False):
            return Permanent("limit", f"Processing this document produces more than is allowed: {stopped}.")
        case _:
            return Permanent("corrupt", f"This document makes its parser fail ({stopped}); it is probably damaged.")


def _signal_name(number: int | None) -> str:
    try:
        return signals.Signals(number or 0).name
    except ValueError:
        return f"signal {number}"
