"""One supervised process: started, probed until it is ready, started again when it dies, ended with all it started."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from quire_local import trees
from quire_local.backoff import Backoff
from quire_local.logs import log_path
from quire_local.process import Process

FIRST_ATTEMPTS = 3
"""Exits before it was ever ready, after which a start counts as failed."""
PROBE_PAUSE_S = 0.1
PROBE_TIMEOUT_S = 5.0


class NotReady(RuntimeError):
    """It ran, and did not become ready in the time it has."""


class Instance:
    """States: waiting, starting, ready, backoff, failed, stopping, stopped, and done for a job that succeeded."""

    def __init__(
        self,
        process: Process,
        name: str,
        port: int | None,
        layer: int,
        home: Path,
        env: Mapping[str, str],
        say: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        """`say` takes log lines; `changed` is called at every change of state or pid."""
        self.process = process
        self.name = name
        self.port = port
        self.layer = layer
        self.state = "waiting"
        self.pid: int | None = None
        self.since: float | None = None
        """When the running process was started, seconds since the epoch."""
        self.restarts = 0
        self.problem = ""
        """Why it is not ready, as the probe or the exit said."""
        self.ready = asyncio.Event()
        self.record: trees.Record | None = None
        self._home = home
        self._env = {**env, **process.env, trees.MARKER: str(home), "QUIRE_INSTANCE": name}
        if port is not None:
            self._env |= {"QUIRE_HTTP_HOST": "127.0.0.1", "QUIRE_HTTP_PORT": str(port)}
        self._say = say
        self._changed = changed
        self._was_ready = False
        self._restart_asked = False
        self._stopping = False
        self._woken = asyncio.Event()
        """Ends the wait before the next start."""
        self._child: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to supervise."""
        self._task = asyncio.create_task(self._supervise(), name=self.name)

    async def stop(self) -> None:
        """Stop signal, grace, SIGKILL for the rest; returns when nothing of it is left."""
        self._stopping = True
        self._woken.set()
        self._enter("stopping")
        await self._end_child()
        if self._task is not None:
            await self._task
        self._enter("stopped")

    async def restart(self) -> None:
        """End the running process; the supervision starts it again at once. Returns when it is ready again."""
        self._restart_asked = True
        self._woken.set()
        self.ready.clear()
        await self._end_child()
        if self._task is None or self._task.done():
            self.start()
        await asyncio.wait_for(self.ready.wait(), self.process.ready_timeout)

    async def health(self) -> str:
        """Probe now: "" when it answers as it should, else what is wrong."""
        if self.state == "done":
            return ""
        if self.state != "ready":
            return self.problem or self.state
        if self.process.ready is not None:
            try:
                await asyncio.wait_for(self.process.ready(self.port), 2)
            except Exception as error:
                return str(error) or type(error).__name__
        return ""

    async def _supervise(self) -> None:
        backoff = Backoff()
        failures = 0
        while not self._stopping:
            self._woken.clear()
            began = time.monotonic()
            try:
                self.problem = describe_exit(await self._run_once())
            except Exception as error:
                self.problem = str(error) or type(error).__name__
            finally:
                self.pid = self.record = self._child = None
                if not self.process.once:
                    self.ready.clear()
            if self._stopping or (self.process.once and self.ready.is_set()):
                break
            if self._restart_asked:
                self._restart_asked = False
                self._say(f"{self.name}: restarting as asked")
                continue
            ran = time.monotonic() - began
            failures += 1
            out_of_time = ran >= self.process.ready_timeout
            if not self._was_ready and (self.process.once or failures >= FIRST_ATTEMPTS or out_of_time):
                self._enter("failed")
                self._say(f"{self.name}: {self.problem}; given up")
                return
            delay = backoff.delay(ran)
            self.restarts += 1
            self._enter("backoff")
            self._say(f"{self.name}: {self.problem} after {ran:.1f} s; starting again in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), delay)
                self._restart_asked = False

    async def _run_once(self) -> int:
        """Start it, see it become ready, and return its exit code."""
        self._enter("starting")
        if self.process.prepare is not None:
            await asyncio.to_thread(self.process.prepare)
        child = await self._spawn()
        if self._stopping:
            await self._end_child()
        prober = None if self.process.once else asyncio.create_task(self._become_ready())
        try:
            waiter = asyncio.create_task(child.communicate())
            if prober is not None:
                await asyncio.wait({waiter, prober}, return_when=asyncio.FIRST_COMPLETED)
                if prober.done() and prober.exception() is not None:
                    await self._end_child()
                    await waiter
                    prober.result()
            printed, _ = await waiter
            code = await child.wait()
            if self.process.once and code == 0:
                if self.process.output is not None:
                    self.process.output(printed)
                self._proved()
            return code
        finally:
            if prober is not None:
                prober.cancel()
            trees.kill_group(child.pid)

    async def _spawn(self) -> asyncio.subprocess.Process:
        path = log_path(self._home, self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *self.process.argv,
                env=self._env,
                cwd=self._home,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self.process.output else log,
                stderr=log,
                start_new_session=True,
            )
        self._child, self.pid, self.since = child, child.pid, time.time()
        process = self.process
        self.record = trees.record_of(self.name, child.pid, process.stop_signal, process.grace, self.layer)
        self._changed()
        return child

    async def _become_ready(self) -> None:
        deadline = time.monotonic() + self.process.ready_timeout
        while self.process.ready is not None:
            try:
                await asyncio.wait_for(self.process.ready(self.port), PROBE_TIMEOUT_S)
                break
            except Exception as error:
                self.problem = str(error) or type(error).__name__
                if time.monotonic() > deadline and not self._was_ready:
                    raise NotReady(f"not ready within {self.process.ready_timeout:g} s: {self.problem}") from error
            await asyncio.sleep(PROBE_PAUSE_S)
        if self.process.settle is not None and not self._was_ready:
            await self.process.settle()
        self._proved()

    async def _end_child(self) -> None:
        child = self._child
        if child is None or child.returncode is not None:
            return
        below = await asyncio.to_thread(trees.descendants, child.pid)
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(self.process.stop_signal)
        try:
            await asyncio.wait_for(child.wait(), self.process.grace)
        except TimeoutError:
            self._say(f"{self.name}: still there {self.process.grace:g} s after its stop signal; killed")
            trees.kill_group(child.pid)
            await child.wait()
        await asyncio.to_thread(trees.kill, below)

    def _proved(self) -> None:
        self._was_ready = True
        self.problem = ""
        self._enter("done" if self.process.once else "ready")
        self.ready.set()

    def _enter(self, state: str) -> None:
        self.state = state
        self._changed()


def describe_exit(code: int) -> str:
    """`exited with code 1` or `killed by SIGKILL`."""
    if code >= 0:
        return f"exited with code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
