"""What the supervisor runs, as data: one `Process` for each server, one-time job and service."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quire_local.ports import PortBook
from quire_local.settings import Settings

Probe = Callable[[int | None], Awaitable[None]]
"""Given the port of the instance (None without one), returns when it is ready and raises while it is not."""


@dataclass(frozen=True)
class Process:
    """One line of the stack; `replicas` instances of it run side by side."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Probe | None = None
    """None: ready as soon as it runs; a job is ready when it exited with 0."""
    depends_on: tuple[str, ...] = ()
    """Names of the processes that must be ready before this one starts, and are stopped after it."""
    replicas: int = 1
    single: str = ""
    """Why there can be only one of it, said to whoever scales it; empty when it scales."""
    http: bool = False
    """Each instance gets a port of its own as QUIRE_HTTP_HOST and QUIRE_HTTP_PORT."""
    once: bool = False
    """A job: it runs to its end before what depends on it starts."""
    prepare: Callable[[], None] | None = None
    """Called in a thread before every start: folders, configuration files."""
    settle: Callable[[], Awaitable[None]] | None = None
    """Called once it is ready and before what depends on it starts: databases, buckets."""
    output: Callable[[bytes], None] | None = None
    """Takes what a job wrote to its standard output, which then stays out of its log."""
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 20.0
    """Seconds between the stop signal and SIGKILL for the whole group."""
    ready_timeout: float = 60.0
    """Seconds the first start may take."""


@dataclass(frozen=True)
class Site:
    """What a specification builds its processes from."""

    settings: Settings
    ports: PortBook

    @property
    def home(self) -> Path:
        return self.settings.home


class Missing(RuntimeError):
    """Something the stack needs is not on this machine; the text says what, and how to get it."""


Specification = Callable[[Site], list[Process]]


def in_order(processes: list[Process]) -> list[list[str]]:
    """Names in layers: each layer depends on earlier ones only; raises ValueError for a name unknown or a ring."""
    waiting = {process.name: set(process.depends_on) for process in processes}
    unknown = {needed for needs in waiting.values() for needed in needs} - waiting.keys()
    if unknown:
        raise ValueError(f"nothing is named {', '.join(sorted(unknown))}")
    layers: list[list[str]] = []
    while waiting:
        layer = [name for name, needs in waiting.items() if not needs]
        if not layer:
            raise ValueError(f"these wait for each other: {', '.join(sorted(waiting))}")
        layers.append(layer)
        waiting = {name: needs - set(layer) for name, needs in waiting.items() if name not in layer}
    return layers
