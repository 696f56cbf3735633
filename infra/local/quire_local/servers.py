"""Just the servers, for tests and tools: started once in a folder, shared by every process that asks for them."""

from collections.abc import Callable, Collection
from pathlib import Path

from quire_local import control, launcher, postgres, rabbitmq, redis_server, seaweedfs, stack, users
from quire_local.ports import PortBook
from quire_local.presence import is_running
from quire_local.process import Process, Site
from quire_local.settings import Settings
from quire_local.state import State

SPECIFICATION = "quire_local.servers:on_demand"

BUILDERS: dict[str, Callable[[Site], list[Process]]] = {
    "postgres": lambda site: [postgres.process(site)],
    "rabbitmq": rabbitmq.processes,
    "redis": lambda site: [redis_server.process(site)],
    "s3": lambda site: [seaweedfs.process(site)],
}
URLS: dict[str, Callable[[Site], str]] = {
    "postgres": postgres.url,
    "postgres_admin": postgres.admin_url,
    "rabbitmq": rabbitmq.url,
    "redis": redis_server.url,
    "s3": seaweedfs.url,
}


def on_demand(site: Site) -> list[Process]:
    """The servers this home was asked for."""
    wanted = State(site.home).replicas()
    return [process for name, build in BUILDERS.items() if wanted.get(name) for process in build(site)]


class Servers:
    """Servers in `home`, shared by the processes that started them there: the last one to stop, or to die, ends them.

    `urls` after `start`: `postgres` (database `quire`, with the right to create databases), `postgres_admin` (the
    superuser), `rabbitmq`, `redis`, `s3` (the endpoint). `environment`: the same as the QUIRE_ variables of a service.
    """

    def __init__(self, home: Path, want: Collection[str] = ("postgres", "rabbitmq", "redis")) -> None:
        unknown = set(want) - BUILDERS.keys()
        if unknown:
            raise ValueError(f"no server is named {', '.join(sorted(unknown))}; there are {', '.join(BUILDERS)}")
        self.home = home.absolute()
        self.want = frozenset(want)
        self.urls: dict[str, str] = {}
        self.environment: dict[str, str] = {}

    def start(self) -> "Servers":
        """Start what is wanted and not yet there, and return when all of it answers; raises launcher.UpFailed, or
        control.Refused."""
        settings = Settings(home=self.home, port=None, s3="s3" in self.want)
        state = State(self.home)
        with users.joined(self.home):
            for name in self.want:
                state.remember_replicas(name, 1)
            if is_running(self.home):
                for _ in control.ask(self.home, {"do": "grow"}, timeout_s=180):
                    pass
            else:
                launcher.up(settings, SPECIFICATION)
        self._describe(Site(settings, PortBook(self.home, given=state.ports())))
        return self

    def stop(self) -> None:
        """Let go of the servers; they end when no living process holds them. Harmless twice."""
        with users.left(self.home) as nobody:
            if nobody:
                launcher.down(self.home)

    def __enter__(self) -> "Servers":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _describe(self, site: Site) -> None:
        names = [*self.want, "postgres_admin"] if "postgres" in self.want else list(self.want)
        self.urls = {name: URLS[name](site) for name in names}
        self.environment = stack.urls(site)
