"""The supervisor: brings the processes of a specification up in order, keeps them up, and ends them in reverse."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import psutil

from quire_local import control, trees, users
from quire_local.instance import Instance
from quire_local.logs import log_path, rotate, tail
from quire_local.process import Process, Site, Specification, in_order
from quire_local.state import State

TICK_S = 2.0


class Supervisor:
    """Runs one stack. States: starting, ready, failed, stopping."""

    def __init__(self, site: Site, specify: Specification, env: Mapping[str, str]) -> None:
        self.home = site.home
        self.state = "starting"
        self.failure: dict[str, Any] | None = None
        self._site = site
        self._specify = specify
        self._processes = {process.name: process for process in specify(site)}
        self._layers = in_order(list(self._processes.values()))
        self._env = env
        self._remembered = State(self.home)
        self._instances: dict[str, list[Instance]] = {name: [] for name in self._processes}
        self._began = time.monotonic()
        self._progress: list[dict[str, Any]] = []
        self._moved = asyncio.Event()
        self._suspects: set[int] = set()
        self._stop = asyncio.Event()

    async def run(self) -> bool:
        """Until it is told to stop, or the start failed; returns whether the start succeeded."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        server = await control.serve(self.home, self._answer)
        stopped = asyncio.create_task(self._stop.wait())
        bringing_up = asyncio.create_task(self._bring_up(list(self._processes.values())))
        ticking = asyncio.create_task(self._tick())
        await asyncio.wait({stopped, bringing_up}, return_when=asyncio.FIRST_COMPLETED)
        if bringing_up.done() and bringing_up.exception() is None:
            self._enter("ready")
            await stopped
        elif bringing_up.done():
            self._enter("failed")
        started = self.state == "ready"
        for task in (bringing_up, ticking):
            task.cancel()
        await self._bring_down()
        server.close()
        stopped.cancel()
        return started

    async def _bring_up(self, processes: list[Process]) -> None:
        async with asyncio.TaskGroup() as group:
            for process in processes:
                group.create_task(self._bring_up_one(process))

    async def _bring_up_one(self, process: Process) -> None:
        try:
            await self._start_in_turn(process)
        except Exception as error:
            if self.failure is None:
                self.failure = self._failure(process.name, str(error))
            raise

    async def _start_in_turn(self, process: Process) -> None:
        count = self._asked(process.name)
        for needed in process.depends_on:
            await self._ready(needed)
        began = time.monotonic()
        for _ in range(count):
            self._add(process).start()
        await self._ready(process.name)
        if count:
            self._report(process.name, time.monotonic() - began)

    async def _ready(self, name: str) -> None:
        """Wait until every instance of a process is ready; raises when one gave up."""
        while True:
            instances = self._instances[name]
            for instance in instances:
                if instance.state == "failed":
                    self.failure = self.failure or self._failure(instance.name, instance.problem)
                    raise control.Refused(f"{instance.name}: {instance.problem}")
            if len(instances) >= self._asked(name) and all(instance.ready.is_set() for instance in instances):
                return
            await self._moved.wait()

    def _asked(self, name: str) -> int:
        process = self._processes[name]
        wanted = self._remembered.replicas().get(name, process.replicas)
        return min(wanted, 1) if process.single else wanted

    def _failure(self, name: str, problem: str) -> dict[str, Any]:
        late = {name for name, group in self._instances.items() if not all(one.ready.is_set() for one in group)}
        log = log_path(self.home, name)
        return {"name": name, "problem": problem, "missing": sorted(late | {name}), "log": str(log), "tail": tail(log)}

    def _add(self, process: Process) -> Instance:
        siblings = self._instances[process.name]
        name = process.name if not siblings else f"{process.name}-{len(siblings) + 1}"
        layer = next(depth for depth, names in enumerate(self._layers) if process.name in names)
        port = self._site.ports.port(name) if process.http else None
        instance = Instance(process, name, port, layer, self.home, self._env, say, self._changed)
        siblings.append(instance)
        return instance

    async def _bring_down(self) -> None:
        if self.state != "failed":
            self._enter("stopping")
        for names in reversed(self._layers):
            await asyncio.gather(*(one.stop() for name in names for one in self._instances[name]))
        await asyncio.to_thread(trees.kill, self._strays())
        trees.write_records(self.home, [])

    def _all(self) -> list[Instance]:
        return [instance for group in self._instances.values() for instance in group]

    def _changed(self) -> None:
        trees.write_records(self.home, [one.record for one in self._all() if one.record is not None])
        self._wake()

    def _wake(self) -> None:
        """Let everybody who waits for a change look again."""
        self._moved.set()
        self._moved = asyncio.Event()

    def _enter(self, state: str) -> None:
        self.state = state
        if state == "failed" and self.failure is not None:  # whoever started us may come too late to ask
            say(f"{self.failure['name']}: {self.failure['problem']}")
        say(f"stack: {state}")
        self._wake()

    def _report(self, name: str, seconds: float) -> None:
        self._progress.append({"name": name, "seconds": round(seconds, 1)})
        say(f"{name}: ready after {seconds:.1f} s")
        self._wake()

    async def _tick(self) -> None:
        """Bound the logs, and end what a process that died left behind."""
        while True:
            await asyncio.sleep(TICK_S)
            if users.abandoned(self.home) and not self._stop.is_set():
                say("stack: all who used it have died; stopping")
                self._stop.set()
            for path in (self.home / "logs").glob("*.log"):
                await asyncio.to_thread(rotate, path)
            strays = self._strays()
            # Seen twice, it is no child that was being started while we looked.
            sure = [stray for stray in strays if stray.pid in self._suspects]
            self._suspects = {stray.pid for stray in strays}
            if sure:
                say(f"stack: ending {len(sure)} processes whose parent died")
                await asyncio.to_thread(trees.kill, sure)

    def _strays(self) -> list[psutil.Process]:
        """Orphans that came to us as their subreaper and still run; those that ended are reaped here.

        What we start ourselves is known by its pid, or (initdb and the like) shares our session; orphans do neither.
        """
        known = {one.pid for one in self._all()}
        found = []
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, ChildProcessError):
                if child.pid in known or os.getsid(child.pid) == os.getsid(0):
                    continue
                if child.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(child.pid, os.WNOHANG)
                else:
                    found.append(child)
        return found

    async def _answer(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        match request["do"]:
            case "follow":
                async for message in self._follow():
                    yield message
            case "status":
                yield await self._status()
            case "scale":
                await self._scale(str(request["name"]), int(request["count"]))
                yield {"ok": True}
            case "restart":
                group = self._instances.get(str(request["name"]))
                if not group:
                    raise control.Refused(self._unknown(str(request["name"])))
                for instance in group:
                    await instance.restart()
                yield {"ok": True}
            case "grow":
                await self._grow()
                yield {"ok": True}
            case "stop":
                self._stop.set()
                yield {"ok": True, "supervisor": os.getpid()}
            case other:
                raise control.Refused(f"cannot {other}")

    async def _follow(self) -> AsyncIterator[dict[str, Any]]:
        told = 0
        while True:
            fresh, told = self._progress[told:], len(self._progress)
            for line in fresh:
                yield line
            if self.state != "starting":
                took = round(time.monotonic() - self._began, 1)
                yield {"state": self.state, "failure": self.failure, "seconds": took}
                return
            await self._moved.wait()

    async def _status(self) -> dict[str, Any]:
        instances = [one for one in self._all() if not one.process.once]
        health = await asyncio.gather(*(one.health() for one in instances))
        rows = [
            {
                "name": one.name,
                "pid": one.pid,
                "port": one.port,
                "state": one.state,
                "since": one.since if one.pid else None,
                "restarts": one.restarts,
                "problem": problem,
            }
            for one, problem in zip(instances, health, strict=True)
        ]
        return {"state": self.state, "supervisor": os.getpid(), "processes": rows}

    async def _scale(self, name: str, count: int) -> None:
        process = self._processes.get(name)
        if process is None or process.once:
            raise control.Refused(self._unknown(name))
        if process.single and count > 1:
            raise control.Refused(f"{name} cannot be scaled: {process.single}")
        if not 0 <= count <= 32:
            raise control.Refused(f"{count} is not a number of workers between 0 and 32")
        self._remembered.remember_replicas(name, count)
        group = self._instances[name]
        leaving = group[count:]
        await asyncio.gather(*(one.stop() for one in leaving))
        del group[count:]
        while len(group) < count:
            self._add(process).start()
        await self._ready(name)

    async def _grow(self) -> None:
        """Bring up what the specification has gained since it was last asked."""
        fresh = [process for process in self._specify(self._site) if process.name not in self._processes]
        self._processes |= {process.name: process for process in fresh}
        self._instances |= {process.name: [] for process in fresh}
        self._layers = in_order(list(self._processes.values()))
        try:
            await self._bring_up(fresh)
        except ExceptionGroup as failures:
            raise control.Refused("; ".join(map(str, failures.exceptions))) from failures
        for name in self._processes:
            await self._ready(name)

    def _unknown(self, name: str) -> str:
        known = [known for known, process in self._processes.items() if not process.once]
        return f"nothing is named {name}; there are {', '.join(known)}"


def say(text: str) -> None:
    """One line of the supervisor's own log."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}", flush=True)
