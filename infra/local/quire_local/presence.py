"""Whether a supervisor lives: it holds a file lock, which the system lets go of however the supervisor ends."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE_S = 2.0


class AlreadyRunning(RuntimeError):
    """Another supervisor has this home."""


def is_running(home: Path) -> bool:
    """Ask without holding the lock: askers share it, so that they do not take each other for a supervisor."""
    try:
        file = _path(home).open("a")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def only_supervisor(home: Path) -> Iterator[None]:
    """Be the supervisor of this home; raises AlreadyRunning."""
    _path(home).parent.mkdir(parents=True, exist_ok=True)
    with _path(home).open("a") as file:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # It may be somebody who only asks, and lets go at once.
                if time.monotonic() > deadline:
                    raise AlreadyRunning(f"a supervisor runs in {home} already") from None
                time.sleep(0.02)
        yield


def _path(home: Path) -> Path:
    return home / "run" / "supervisor.lock"
