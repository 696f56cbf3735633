"""Bringing a stack up and down from outside: starts the supervisor in the background and follows it."""

import contextlib
import fcntl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from quire_local import control, daemon, trees
from quire_local.logs import log_path, tail
from quire_local.ports import GATEWAY
from quire_local.presence import is_running
from quire_local.settings import Settings
from quire_local.state import State

NATIVE = "quire_local.stack:native"
START_S = 120.0
"""It may first have to end what an earlier supervisor left behind."""
STOP_S = 120.0


@dataclass(frozen=True)
class Ready:
    """A stack that is up."""

    already: bool
    """It was up before we came."""
    seconds: float


class UpFailed(RuntimeError):
    """The stack did not come up; the text says what is missing, with the end of the log of what failed."""


def up(settings: Settings, specification: str = NATIVE, told: Callable[[str, float], None] = lambda *_: None) -> Ready:
    """Return when everything is ready; `told(name, seconds)` as each part becomes so. Raises UpFailed."""
    home = settings.home
    with _one_at_a_time(home):
        if is_running(home):
            _refuse_another_port(settings)
            try:
                return _follow(home, already=True, told=told)
            except control.NotRunning:  # it was dying when we looked
                _wait_until_gone(home)
        _launch(settings, specification)
        return _follow(home, already=False, told=told)


def _follow(home: Path, *, already: bool, told: Callable[[str, float], None]) -> Ready:
    for message in control.ask(home, {"do": "follow"}, timeout_s=300):
        if "state" not in message:
            if not already:
                told(message["name"], message["seconds"])
        elif message["state"] == "ready":
            return Ready(already, message["seconds"])
        else:
            _wait_until_gone(home)
            raise UpFailed(explain(message["failure"]))
    raise UpFailed("the supervisor left; its log:\n" + "\n".join(tail(log_path(home, "supervisor"))))


def down(home: Path) -> bool:
    """Stop the stack, or what a killed supervisor left of it; returns whether there was anything. Harmless twice."""
    if not (home / "run").is_dir():
        return False
    was_running = is_running(home)
    if was_running:
        with contextlib.suppress(control.NotRunning, psutil.NoSuchProcess):
            supervisor = psutil.Process(ask(home, {"do": "stop"})["supervisor"])
            trees.wait_ended([supervisor], STOP_S)
        _wait_until_gone(home)
    return bool(trees.sweep(home)) or was_running


def ask(home: Path, request: dict[str, Any]) -> dict[str, Any]:
    """One answer of the running stack; raises control.NotRunning or control.Refused."""
    if not is_running(home):
        raise control.NotRunning(f"no stack runs in {home}")
    return list(control.ask(home, request))[-1]


def explain(failure: dict[str, Any] | None) -> str:
    """A failed start, for a person."""
    if failure is None:
        return "the stack was stopped while it started"
    lines = [f"{failure['name']}: {failure['problem']}", f"not ready: {', '.join(failure['missing'])}"]
    if failure["tail"]:
        lines += [f"the end of {failure['log']}:", *(f"  {line}" for line in failure["tail"])]
    return "\n".join(lines)


def _refuse_another_port(settings: Settings) -> None:
    has = State(settings.home).ports().get(GATEWAY)
    if settings.port is not None and has is not None and settings.port != has:
        raise UpFailed(f"the stack in {settings.home} runs on port {has}: stop it to move it to {settings.port}")


def _launch(settings: Settings, specification: str) -> None:
    log = log_path(settings.home, "supervisor")
    _make_private(log.parent)
    start = log.stat().st_size if log.exists() else 0
    (settings.home / "run" / "control.sock").unlink(missing_ok=True)
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            daemon.command(settings, specification),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if control.answers(settings.home):
            return
        if supervisor.poll() is not None:
            with log.open("rb") as output:
                output.seek(start)
                said = output.read().decode(errors="replace").strip()
            raise UpFailed(said or f"the supervisor exited with code {supervisor.returncode}")
        time.sleep(0.05)
    raise UpFailed(f"the supervisor does not answer after {START_S:g} s; see {log}")


def _wait_until_gone(home: Path) -> None:
    deadline = time.monotonic() + STOP_S
    while is_running(home):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the supervisor of {home} did not stop within {STOP_S:g} s")
        time.sleep(0.05)


@contextlib.contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    _make_private(home / "run")
    with (home / "run" / "up.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_private(folder: Path) -> None:
    """Passwords and what documents leave in logs are for the owner's eyes."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
