"""The zygote: imports what workers need once, then forks, kills and reaps them; it never sees a document.

Run as `python -I -m quire_runtime.sandbox.zygote FD`. On the control socket FD it takes its settings first, then
`{"spawn": id, "directory": …, "uid": …}` (with the worker's socket and log as descriptors) and `{"kill": id}`;
it sends `{"ready": …}`, `{"spawned": id, "pid": …}` and, once nobody of its process group is left, `{"exit": id, …}`.
"""

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from quire_runtime.sandbox import directory, frames, worker
from quire_runtime.sandbox.confine import NOT_CONFINED, Protections, confine, isolate_zygote, python_paths
from quire_runtime.sandbox.limits import Limits


class Zygote:
    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self.control = control
        self.limits = Limits(**settings["limits"])
        self.allow_exec: bool = settings["allow_exec"]
        self.readable: list[str] = settings["read_paths"]
        self.living: dict[int, int] = {}  # pid (= process group) of each worker not yet reaped → its id
        self.dying: dict[int, dict[str, Any]] = {}  # group with members left → what to tell of its worker
        self.expected: Protections = Protections()

    def probe(self, own: Path, uid: int | None, found: Protections) -> Protections:
        """Confines one child for the report of what holds here, and what does not."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                report = self._confine(own, uid, os.getppid())
                os.write(writing, frames.encode({"found": report.as_json()}))
            except BaseException:
                os.write(writing, frames.encode({"failed": traceback.format_exc()[-4_000:]}))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = frames.take(bytearray(pipe.read()))
        os.waitpid(pid, 0)
        if answer is None or "failed" in answer:
            raise RuntimeError(f"a worker could not be confined: {answer and answer['failed']}")
        self.expected = Protections(**answer["found"])
        return Protections(found.on + self.expected.on, found.missing | self.expected.missing)

    def run(self) -> None:
        """Serves until the parent closes the control socket or dies, then kills every worker."""
        waking, woken = os.pipe()
        for end in (waking, woken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.inherited = (waking, woken)
        events = selectors.DefaultSelector()
        self.selector = events
        events.register(self.control, selectors.EVENT_READ)
        events.register(waking, selectors.EVENT_READ)
        buffer, descriptors = bytearray(), list[int]()
        while True:
            # A killed process group is not always gone by the last SIGCHLD: look again while one is dying.
            for key, _ in events.select(0.001 if self.dying else None):
                if key.fd == waking:
                    os.read(waking, 4096)
                    continue
                data, received, _, _ = socket.recv_fds(self.control, 65536, 16, socket.MSG_CMSG_CLOEXEC)
                if not data:
                    self.kill_all()
                    return
                buffer += data
                descriptors += received
                while (message := frames.take(buffer)) is not None:
                    if "spawn" in message:
                        self.spawn(message, socket.socket(fileno=descriptors.pop(0)), descriptors.pop(0))
                    else:
                        self.kill(message["kill"])
            self.reap()

    def spawn(self, message: dict[str, Any], sock: socket.socket, log: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = NOT_CONFINED
            try:
                self._become_worker(sock, log)
                report = self._confine(Path(message["directory"]), message["uid"], parent)
                if report.on == self.expected.on:
                    worker.serve(sock, self.limits.output_bytes)
                    code = 0
                else:
                    sys.stderr.write(f"not confined: {report.missing}")
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        sock.close()
        os.close(log)
        self.living[pid] = message["spawn"]
        self.send({"spawned": message["spawn"], "pid": pid})

    def kill(self, worker_id: int) -> None:
        for pid, known in self.living.items():
            if known == worker_id:
                _kill_group(pid)

    def reap(self) -> None:
        """Collects the dead; what is left in the process group of a dead worker is killed with it."""
        while self.living or self.dying:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self.living:
                _kill_group(pid)
                code = os.waitstatus_to_exitcode(status)
                self.dying[pid] = {
                    "exit": self.living.pop(pid),
                    "signal": -code if code < 0 else None,
                    "code": code if code >= 0 else None,
                    "cpu_s": usage.ru_utime + usage.ru_stime,
                }
        for group in [group for group in self.dying if not _group_exists(group)]:
            self.send(self.dying.pop(group))

    def kill_all(self) -> None:
        for pid in self.living:
            _kill_group(pid)
        while self.living or self.dying:
            self.reap()
            time.sleep(0.001)

    def send(self, message: dict[str, Any]) -> None:
        try:
            self.control.sendall(frames.encode(message))
        except OSError:  # the parent is gone; the next receive says so and ends this process
            return

    def _confine(self, own: Path, uid: int | None, parent: int) -> Protections:
        return confine(self.limits, own, uid, self.readable, allow_exec=self.allow_exec, parent=parent)

    def _become_worker(self, sock: socket.socket, log: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.selector.close()
        self.control.close()
        for end in self.inherited:
            os.close(end)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)


def _kill_group(pid: int) -> None:
    """Kills a worker with its whole process group; one that was forked a moment ago may not have made its group yet."""
    for kill in (os.kill, os.killpg):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    settings = frames.receive(control)
    if settings is None:
        return
    zygote = Zygote(control, settings)
    try:
        found = isolate_zygote()
        sys.path[:0] = settings["paths"]
        for name in settings["preload"]:
            importlib.import_module(name)
        if (tasks := Path("/proc/self/task")).exists() and len(list(tasks.iterdir())) > 1:
            raise RuntimeError("a preloaded module started threads, which do not survive a fork")
        zygote.readable += python_paths()
        report = zygote.probe(Path(settings["directory"]), settings["uid"], found)
    except Exception:
        zygote.send({"failed": traceback.format_exc()})
        return
    gc.collect()
    gc.freeze()
    zygote.send({"ready": report.as_json()})
    zygote.run()
    # The parent does the same, but it may have been killed.
    with contextlib.suppress(OSError):
        directory.remove(Path(settings["base"]))


if __name__ == "__main__":
    main()
