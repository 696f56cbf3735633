"""Shuts a freshly forked worker in: user, limits, capabilities, files, system calls, in the one order that works."""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from quire_runtime.sandbox.limits import Limits

if sys.platform == "linux":
    from quire_runtime.sandbox import kernel, landlock, seccomp

NICE = 5
NOT_CONFINED = 97
"""Exit code of a worker that could not take on a protection which this machine was found to have."""


@dataclass(slots=True)
class Protections:
    """What holds a worker here: `on`, and `missing` with the kernel's reason for each."""

    on: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def attempt(self, name: str, step: Callable[[], object]) -> bool:
        try:
            step()
        except (OSError, ValueError) as error:
            self.missing[name] = str(error)
            return False
        self.on.append(name)
        return True

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def isolate_zygote() -> Protections:
    """Takes the zygote off every network, once and before it imports anything; without root by a user namespace."""
    found = Protections()
    if sys.platform != "linux":
        found.missing["network namespace"] = "only on Linux"
        return found
    kernel.adopt_orphans()
    if os.geteuid() == 0:
        found.attempt("network namespace", lambda: kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC))
    else:
        flags = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
        if found.attempt("network namespace", lambda: _own_user_namespace(flags)):
            kernel.set_capabilities(None)
    return found


def confine(
    limits: Limits, own: Path, uid: int | None, readable: list[str], *, allow_exec: bool, parent: int
) -> Protections:
    """Confines this single-threaded process and all it will ever start; `own` is the one directory it may write.

    `uid` is the user to become when running as root. What the kernel refuses is in the result.
    Raises PermissionError when the worker cannot enter `own`.
    """
    found = Protections()
    os.setsid()
    os.nice(NICE)
    if sys.platform == "linux":
        # The kernel's last resort should be a worker, not the service that waits for it.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        landlock_version = _landlock_version()
        apart = found.attempt("own user", lambda: _become(uid, keep_reading=landlock_version > 0))
        kernel.die_with_parent(parent, signal.SIGKILL)
        _limit_resources(found, limits, processes=apart)
        kernel.no_new_privileges()
        shut = found.attempt("file system", lambda: landlock.restrict(own, readable, execute=allow_exec))
        if not (shut and uid is not None and apart):
            kernel.set_capabilities(None)
        filtered = found.attempt(
            "system calls", lambda: seccomp.install(seccomp.build(os.getpid(), allow_exec=allow_exec))
        )
        if (apart and uid is not None) or landlock_version >= landlock.SCOPES_SIGNALS or (filtered and not allow_exec):
            found.on.append("signals")
        else:
            found.missing["signals"] = "this user's other processes can be signalled: there is no Landlock 6"
    else:
        _limit_resources(found, limits, processes=False)
        found.missing.update(dict.fromkeys(("own user", "file system", "system calls", "signals"), "only on Linux"))
    try:
        os.chdir(own)
    except PermissionError:
        message = f"user {os.geteuid()} cannot enter {own}: give `directory` a place that every user can enter"
        raise PermissionError(message) from None
    return found


def _become(uid: int | None, *, keep_reading: bool) -> None:
    """Leaves for a user (or user namespace) of its own, so that RLIMIT_NPROC counts this worker's processes only."""
    if uid is None:
        _own_user_namespace(kernel.CLONE_NEWUSER)
        return
    kernel.keep_capabilities()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.stay_dumpable()
    if keep_reading:
        # The interpreter may lie where only root can enter (/root/.pyenv); Landlock decides what is read.
        with contextlib.suppress(OSError):  # the root of a container may not have this capability
            kernel.set_capabilities(kernel.CAP_DAC_READ_SEARCH)


def _own_user_namespace(flags: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(flags)
    for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        Path(f"/proc/self/{name}").write_text(content)


def _limit_resources(found: Protections, limits: Limits, *, processes: bool) -> None:
    def limit(name: str, kind: int, value: int) -> None:
        def apply() -> None:
            _, hard = resource.getrlimit(kind)
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (bound, bound))

        found.attempt(name, apply)

    limit("memory", resource.RLIMIT_AS, _address_space() + limits.memory_bytes)
    limit("file size", resource.RLIMIT_FSIZE, limits.file_bytes)
    limit("open files", resource.RLIMIT_NOFILE, limits.open_files)
    limit("no core", resource.RLIMIT_CORE, 0)
    if processes:
        limit("processes", resource.RLIMIT_NPROC, limits.processes)
    else:
        found.missing["processes"] = "the limit would count every process of this user"


def _address_space() -> int:
    """Bytes of address space in use, which the preloaded modules and the interpreter take."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 1 << 32


def _landlock_version() -> int:
    try:
        return landlock.version()
    except OSError:
        return 0


def python_paths() -> list[str]:
    """Where this interpreter and what it may yet import lie; to be asked once, for it takes a millisecond."""
    return [str(Path(path).resolve()) for path in {sys.prefix, sys.base_prefix, *sys.path} if path]
