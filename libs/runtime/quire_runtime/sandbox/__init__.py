"""A pool of bounded child processes in which everything that parses or renders an untrusted document runs."""

from quire_runtime.sandbox.errors import (
    SandboxCrashed,
    SandboxError,
    SandboxMemory,
    SandboxOutput,
    SandboxStopped,
    SandboxTimeout,
    SandboxUnavailable,
    as_permanent,
)
from quire_runtime.sandbox.job import Job
from quire_runtime.sandbox.limits import Limits
from quire_runtime.sandbox.pool import Sandbox

__all__ = [
    "Job",
    "Limits",
    "Sandbox",
    "SandboxCrashed",
    "SandboxError",
    "SandboxMemory",
    "SandboxOutput",
    "SandboxStopped",
    "SandboxTimeout",
    "SandboxUnavailable",
    "as_permanent",
]
