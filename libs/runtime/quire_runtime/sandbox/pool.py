"""The pool: at most so many workers at once, each replaced after its share of jobs or its first failure."""

import asyncio
import contextlib
import itertools
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import structlog

from quire_runtime.sandbox import directory as directories
from quire_runtime.sandbox import frames, replies
from quire_runtime.sandbox.confine import Protections
from quire_runtime.sandbox.errors import (
    SandboxCrashed,
    SandboxMemory,
    SandboxOutput,
    SandboxTimeout,
    SandboxUnavailable,
)
from quire_runtime.sandbox.host import Host, OversizeError, Worker
from quire_runtime.sandbox.job import Job
from quire_runtime.sandbox.limits import Limits

log = structlog.get_logger(__name__)

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
_NOBODY = 65534
_seats = itertools.count()


@dataclass(slots=True, eq=False)
class _Seat:
    """A place for one worker: the directory and the user that it and its successors have."""

    directory: Path
    uid: int | None
    host: Host
    worker: Worker | None = None
    idle_since: float = 0.0


class Sandbox:
    """Runs functions on untrusted documents in bounded child processes. An async context manager of one event loop.

    `preload`: modules every worker has imported already. `paths`: extra entries of their sys.path. `env`: added to a
    scrubbed environment. `read_paths`: what calls may read besides the system, Python and their own directory.
    `allow_exec`: calls may start programs and use Unix sockets. `jobs_per_child`: after so many jobs a worker is
    replaced; with 1 no document ever meets the process of another. `idle_s`: idle workers beyond one are
    ended after so many seconds.
    `directory`: where the jobs' directories are made (the system's temporary directory by default).
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        *,
        workers: int = 2,
        limits: Limits | None = None,
        jobs_per_child: int = 50,
        env: Mapping[str, str] | None = None,
        paths: Sequence[str | Path] = (),
        read_paths: Sequence[str | Path] = (),
        allow_exec: bool = False,
        idle_s: float = 30.0,
        directory: Path | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._jobs_per_child = jobs_per_child
        self._idle_s = idle_s
        self._env = _ENVIRONMENT | dict(env or {})
        self._parent_directory = directory
        self._settings: dict[str, Any] = {
            "preload": list(preload),
            "paths": [str(path) for path in paths],
            "read_paths": [str(path) for path in read_paths],
            "limits": asdict(self.limits),
            "allow_exec": allow_exec,
        }
        self._slots = asyncio.Semaphore(workers)
        self._starting = asyncio.Lock()
        self._idle: list[_Seat] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._host: Host | None = None
        self._uid: int | None = None
        self._closed = True

    @property
    def protections(self) -> Protections:
        """What holds the workers on this machine, and what is missing with the reason. Known once the pool is open."""
        return self._host.protections if self._host else Protections()

    async def __aenter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="quire-sandbox-", dir=self._parent_directory))
        self._directory.chmod(0o711)  # a worker's own user passes through it to its directory
        self._closed = False
        try:
            self._uid = _pick_user(self._directory)
            found = (await self._living_host()).protections
        except BaseException:
            await self.__aexit__()
            raise
        if found.missing:
            log.warning("sandbox degraded", missing=found.missing, on=found.on)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if self._host is not None:
            await self._host.close()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(directories.remove, self._directory)

    @asynccontextmanager
    async def job(self) -> AsyncIterator[Job]:
        """Waits for a free worker and lends it, with a new directory that is removed at the end."""
        await self._slots.acquire()
        try:
            seat = await self._take_seat()
        except BaseException:
            self._slots.release()
            raise
        path = seat.directory / secrets.token_hex(8)
        path.mkdir(mode=0o700)

        async def run(job: Job, function: str, arguments: Mapping[str, Any], wall_s: float | None) -> Any:
            return await self._call(seat, job, function, arguments, wall_s or self.limits.wall_s)

        try:
            yield Job(path, seat.uid, run)
        finally:
            # Not to be cut short by a cancellation: the slot is free only when the killed processes are gone.
            await asyncio.shield(self._background(self._leave(seat, path)))

    async def _call(self, seat: _Seat, job: Job, function: str, arguments: Mapping[str, Any], wall_s: float) -> Any:
        request = {
            "function": function,
            "arguments": dict(arguments),
            "directory": str(job.path),
            "cpu_s": self.limits.cpu_s,
        }
        frame = frames.encode(request)
        if seat.worker is None or seat.worker.exited.done():
            if self._closed or not seat.host.alive:
                raise SandboxUnavailable("the sandbox was closed or restarted during this job")
            seat.worker = seat.host.spawn(seat.directory, seat.uid)
        worker = seat.worker
        try:
            async with asyncio.timeout(wall_s):
                body = await worker.exchange(frame, self.limits.output_bytes)
            return replies.value(body, self.limits)
        except TimeoutError:
            await seat.host.gone(worker)
            raise SandboxTimeout("wall", wall_s) from None
        except EOFError:
            raise replies.verdict(await seat.host.gone(worker), self.limits) from None
        except OversizeError as error:
            await seat.host.gone(worker)
            raise SandboxOutput(str(error)) from None
        except (SandboxMemory, SandboxCrashed, SandboxOutput):
            await seat.host.gone(worker)
            raise
        except asyncio.CancelledError:
            seat.host.kill(worker)
            raise

    async def _take_seat(self) -> _Seat:
        host = await self._living_host()
        while self._idle:
            seat = self._idle.pop()
            if seat.host is host:
                return seat
            await asyncio.to_thread(_remove_quietly, seat.directory)
        number = next(_seats)
        uid = None if self._uid is None else _NOBODY if self._uid == _NOBODY else self._uid + number % 256
        path = self._directory / f"seat-{number}"
        path.mkdir(mode=0o711)
        return _Seat(path, uid, host)

    async def _leave(self, seat: _Seat, path: Path) -> None:
        try:
            if (worker := seat.worker) is not None:
                worker.jobs += 1
                if worker.doomed or worker.exited.done() or worker.jobs >= self._jobs_per_child:
                    await seat.host.gone(worker)
                    seat.worker = None
                else:
                    worker.forget_log()
            if directories.is_small(path):
                _remove_quietly(path)
            else:
                await asyncio.to_thread(_remove_quietly, path)
            if seat.host.alive:
                seat.idle_since = asyncio.get_running_loop().time()
                self._idle.append(seat)
                if len(self._idle) > 1:
                    asyncio.get_running_loop().call_later(self._idle_s, self._trim)
            else:
                await asyncio.to_thread(_remove_quietly, seat.directory)
        finally:
            self._slots.release()

    def _trim(self) -> None:
        """Ends the workers that have been idle for too long; the one used last stays warm."""
        now = asyncio.get_running_loop().time()
        warm = [seat for seat in self._idle if seat.worker is not None]
        for seat in warm[:-1]:
            if now - seat.idle_since >= self._idle_s and seat.worker is not None:
                seat.host.kill(seat.worker)
                seat.worker = None

    async def _living_host(self) -> Host:
        async with self._starting:
            if self._closed:
                raise SandboxUnavailable("the sandbox is closed")
            if self._host is None or not self._host.alive:
                if self._host is not None:
                    log.error("sandbox zygote died, starting another", pid=self._host.pid)
                    await self._host.close()
                probe = self._directory / f"probe-{secrets.token_hex(4)}"
                probe.mkdir(mode=0o711)
                settings = self._settings | {"base": str(self._directory), "directory": str(probe), "uid": self._uid}
                home = {"HOME": str(probe), "TMPDIR": str(probe)}
                self._host = await Host.start(settings, home | self._env, self._directory)
            return self._host

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _pick_user(directory: Path) -> int | None:
    """As root the first of 256 user ids that nobody else has, or nobody's where they do not exist; otherwise None."""
    if os.geteuid() != 0:
        return None
    probe = directory / "owner"
    probe.touch()
    for uid in (1_000_000_000 + os.getpid() % (1 << 22) * 256, _NOBODY):
        with contextlib.suppress(OSError):
            os.chown(probe, uid, uid)
            return uid
    return None


def _remove_quietly(path: Path) -> None:
    """Removes a directory; what cannot be removed now goes when the pool closes."""
    try:
        directories.remove(path)
    except OSError as error:
        log.warning("sandbox directory left", path=str(path), error=str(error))
