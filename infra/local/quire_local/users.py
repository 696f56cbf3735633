"""Which living processes hold shared servers, so that the last one ends them, by its own hand or by dying."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from quire_local.identity import Identity, identify
from quire_local.state import read_json, write_atomically


@contextlib.contextmanager
def joined(home: Path) -> Iterator[None]:
    """Be one of the users from now on; whoever else joins or leaves waits until the block ends."""
    with _alone(home):
        me = identify(os.getpid())
        _write(home, [*_others(home), *([me] if me else [])])
        yield


@contextlib.contextmanager
def left(home: Path) -> Iterator[bool]:
    """Be one no more; gives whether nobody is left, and nobody can join before the block ends."""
    with _alone(home):
        others = _others(home)
        _write(home, others)
        yield not others


def abandoned(home: Path) -> bool:
    """Users are noted and all of them have died without leaving. False for a stack that nobody ever joined."""
    noted = _noted(home)
    return bool(noted) and not any(user.process() for user in noted)


def _noted(home: Path) -> list[Identity]:
    return [Identity(**entry) for entry in read_json(home / "run" / "users.json").get("users", [])]


def _others(home: Path) -> list[Identity]:
    return [user for user in _noted(home) if user.pid != os.getpid() and user.process() is not None]


def _write(home: Path, users: list[Identity]) -> None:
    write_atomically(home / "run" / "users.json", json.dumps({"users": [asdict(user) for user in users]}))


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    (home / "run").mkdir(parents=True, exist_ok=True)
    with (home / "run" / "users.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
