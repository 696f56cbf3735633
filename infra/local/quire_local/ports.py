"""Which port each listener of the stack has: remembered, and moved only when somebody else took it."""

import socket
from pathlib import Path

import psutil

from quire_local.state import State

GATEWAY = "gateway"
PREFERRED = {GATEWAY: 8080}


class PortTaken(RuntimeError):
    """A port that was asked for by number belongs to another process."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken{_holder(port)}; set QUIRE_PORT to a free one, or stop what holds it")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class PortBook:
    """Gives out ports by name; the same name keeps its port over restarts of the stack."""

    def __init__(self, home: Path, gateway: int | None = None, given: dict[str, int] | None = None) -> None:
        """`given`: ports in use by a running stack, answered as they are."""
        self._state = State(home)
        self._gateway = gateway
        self._given: dict[str, int] = dict(given or {})

    def port(self, name: str) -> int:
        """The port for this listener, free at this moment; raises PortTaken for a demanded one."""
        if name not in self._given:
            chosen = self._choose(name)
            self._given[name] = chosen
            self._state.remember_port(name, chosen)
        return self._given[name]

    def _choose(self, name: str) -> int:
        if name == GATEWAY and self._gateway is not None:
            if not is_free(self._gateway):
                raise PortTaken(self._gateway)
            return self._gateway
        remembered = self._state.ports()
        others = {port for owner, port in remembered.items() if owner != name} | set(self._given.values())
        for candidate in (remembered.get(name), PREFERRED.get(name)):
            if candidate is not None and candidate not in others and is_free(candidate):
                return candidate
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                candidate = int(probe.getsockname()[1])
            if candidate not in others:
                return candidate


def _holder(port: int) -> str:
    """Who listens there, as far as the system tells us."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid and connection.status == "LISTEN":
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
