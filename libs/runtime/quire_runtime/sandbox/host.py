"""The parent's side of the zygote: starting it, asking it for workers and hearing of their ends."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from quire_runtime.sandbox import frames
from quire_runtime.sandbox.confine import Protections
from quire_runtime.sandbox.errors import SandboxUnavailable

START_S, END_S = 120, 5
"""Seconds for the imports of a zygote, and for killed processes to be gone."""
TAIL_BYTES = 2_000


class OversizeError(Exception):
    """A worker announced more bytes than it may send, or sent more than it announced."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended: by `signal`, or with `code`, having used `cpu_s` seconds; `tail` is the end of its stderr."""

    signal: int | None
    code: int | None
    cpu_s: float
    tail: str


class Worker:
    """One forked child: its socket, its log, and the future of its end (None: its zygote died and took it along)."""

    def __init__(self, number: int, sock: socket.socket, log: IO[bytes]) -> None:
        self.number = number
        self.pid: int | None = None
        self.jobs = 0
        self.doomed = False
        self.exited: asyncio.Future[Exit | None] = asyncio.get_running_loop().create_future()
        self._sock = sock
        self._in_exchange = False
        self._log = log

    async def exchange(self, frame: bytes, limit: int) -> bytes:
        """Sends one request and returns the body of its reply (≤ `limit` bytes); EOFError when the worker ended."""
        loop = asyncio.get_running_loop()
        buffer, end = bytearray(), frames.HEADER.size
        self._in_exchange = True
        try:
            await loop.sock_sendall(self._sock, frame)
            while len(buffer) < end:
                piece = await loop.sock_recv(self._sock, 1 << 18)
                if not piece:
                    raise EOFError
                known = len(buffer) >= frames.HEADER.size
                buffer += piece
                if not known and len(buffer) >= frames.HEADER.size:
                    size: int = frames.HEADER.unpack_from(buffer)[0]
                    if size > limit:
                        raise OversizeError(f"a result of {size} bytes, where {limit} are allowed")
                    end += size
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError from None
        finally:
            self._in_exchange = False
            if self.exited.done():
                self._sock.close()
        if len(buffer) > end:
            raise OversizeError("more bytes than announced")
        return bytes(buffer[frames.HEADER.size :])

    def forget_log(self) -> None:
        """Empties the log, so that the next job's crash is not explained with the words of this one."""
        if os.fstat(self._log.fileno()).st_size:
            self._log.truncate(0)

    def end(self, how: dict[str, Any] | None) -> None:
        if self.exited.done():
            return
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace")
        self._log.close()
        if self._in_exchange:  # wakes it; closing here would leave it waiting on a descriptor that is no more
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        else:
            self._sock.close()
        self.exited.set_result(Exit(how["signal"], how["code"], how["cpu_s"], tail) if how else None)


class Host:
    """A running zygote. Once `alive` is false it is of no use any more and every worker it had is being killed."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket, directory: Path) -> None:
        self.alive = True
        self.protections = Protections()
        self.pid = process.pid
        self._process = process
        self._control = control
        self._directory = directory
        self._workers: dict[int, Worker] = {}
        self._started = 0
        self._ready: asyncio.Future[Protections] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, settings: Mapping[str, Any], env: Mapping[str, str], directory: Path) -> Self:
        """Starts a zygote and waits for its imports; raises SandboxUnavailable with their traceback when they fail."""
        control, theirs = socket.socketpair()
        with theirs:
            control.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "quire_runtime.sandbox.zygote", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=dict(env),
                cwd=directory,
            )
        host = cls(process, control, directory)
        try:
            host._send(settings)
            async with asyncio.timeout(START_S):
                host.protections = await host._ready
        except BaseException as error:
            host.abandon()
            await host.close()
            if isinstance(error, TimeoutError):
                raise SandboxUnavailable(f"the sandbox was not ready after {START_S} s") from None
            raise
        return host

    def spawn(self, directory: Path, uid: int | None) -> Worker:
        """Asks for a worker that may write in `directory` only; it can be sent requests at once."""
        sock, theirs = socket.socketpair()
        sock.setblocking(False)
        log = tempfile.TemporaryFile("ab+", buffering=0, dir=self._directory)  # noqa: SIM115 - lives as long as the worker
        self._started += 1
        worker = self._workers[self._started] = Worker(self._started, sock, log)
        with theirs:
            message = {"spawn": worker.number, "directory": str(directory), "uid": uid}
            self._send(message, [theirs.fileno(), log.fileno()])
        return worker

    def kill(self, worker: Worker) -> None:
        """Has the worker and everything it started killed; `worker.exited` tells when they are gone."""
        worker.doomed = True
        if not worker.exited.done():
            self._send({"kill": worker.number})

    async def gone(self, worker: Worker) -> Exit | None:
        """Kills the worker unless it has ended, waits until nothing of it is left, and tells how it ended."""
        self.kill(worker)
        try:
            async with asyncio.timeout(END_S):
                return await asyncio.shield(worker.exited)
        except TimeoutError:
            self.abandon()
            return await asyncio.shield(worker.exited)

    def abandon(self) -> None:
        """Kills the zygote itself, the last resort; its workers die with it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Ends the zygote and all its workers; returns when they are gone."""
        self.alive = False
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self.abandon()
            await self._process.wait()
        await self._listening

    def _send(self, message: Mapping[str, Any], descriptors: list[int] | None = None) -> None:
        """Never waits: a zygote that leaves a full socket unread is stuck, and is killed."""
        frame = frames.encode(message)
        try:
            whole = socket.send_fds(self._control, [frame], descriptors or []) == len(frame)
        except OSError:
            whole = False
        if not whole:
            self.abandon()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        buffer = bytearray()
        try:
            while piece := await loop.sock_recv(self._control, 1 << 16):
                buffer += piece
                while (message := frames.take(buffer)) is not None:
                    self._hear(message)
        except OSError:
            pass
        finally:
            self._lost()

    def _hear(self, message: dict[str, Any]) -> None:
        if "spawned" in message:
            self._workers[message["spawned"]].pid = message["pid"]
        elif "exit" in message:
            self._workers.pop(message["exit"]).end(message)
        elif "ready" in message:
            self._ready.set_result(Protections(**message["ready"]))
        else:
            self._ready.set_exception(SandboxUnavailable(f"the sandbox cannot start:\n{message['failed']}"))

    def _lost(self) -> None:
        self.alive = False
        self._control.close()
        if not self._ready.done():
            self._ready.set_exception(SandboxUnavailable("the sandbox ended while it started"))
        for worker in self._workers.values():
            # The kernel kills each worker with its zygote, but not what the worker started.
            if worker.pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(worker.pid, signal.SIGKILL)
            worker.end(None)
        self._workers.clear()
