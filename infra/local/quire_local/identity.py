"""A process that stays itself: a pid together with its start time, so that a recycled pid is never touched."""

from dataclasses import dataclass

import psutil

# The start time comes from the wall clock and the boot time, which drift by a fraction of a second.
TOLERANCE_S = 1.5


@dataclass(frozen=True)
class Identity:
    pid: int
    started: float
    """Seconds since the epoch."""

    def process(self) -> psutil.Process | None:
        """The living process, or None when it ended or the pid now belongs to another."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started) > TOLERANCE_S or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process


def identify(pid: int) -> Identity | None:
    """The identity of a running process, or None when it is gone already."""
    try:
        return Identity(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None
