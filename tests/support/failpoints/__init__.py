"""Telling a running service to die, to freeze or to be slow at a certain point of its code (see `sitecustomize`)."""

import os
from pathlib import Path

HERE = Path(__file__).parent


class Failpoints:
    """The points of the services of one stack; `environment` is what the stack must be started with."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def environment(self, broker_port: int | None = None) -> dict[str, str]:
        """Variables for the services; with a port they reach the broker there instead of where it listens."""
        path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")]))
        through = {"QUIRE_FAILPOINTS_BROKER_PORT": str(broker_port)} if broker_port else {}
        return {"QUIRE_FAILPOINTS": str(self._folder), "PYTHONPATH": path, **through}

    def arm(self, service: str, point: str, action: str) -> None:
        """`kill@3`, `stop@3` (SIGSTOP to itself) at the third time, or `sleep@0.05` each time until disarmed."""
        fresh = self._folder / f".{service}.{point}"
        fresh.write_text(action)
        fresh.rename(self._folder / f"{service}.{point}")

    def disarm(self) -> None:
        """Nothing happens any more."""
        for path in self._folder.iterdir():
            path.unlink(missing_ok=True)

    def waiting(self, action: str) -> list[str]:
        """`service.point` of each `kill` or `stop` that has not happened yet."""
        found = []
        for path in self._folder.glob("[a-z]*"):
            try:
                armed = path.read_text()
            except FileNotFoundError:  # it happens now
                continue
            if armed.startswith(action):
                found.append(path.name)
        return sorted(found)
