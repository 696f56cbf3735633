"""RabbitMQ as a node of our own: own data, ports, cookie and epmd, apart from any node the machine has."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quire_local import probes
from quire_local.process import Missing, Process, Site
from quire_local.settings import search_path
from quire_local.state import secret, write_atomically

NAME = "rabbitmq"
EPMD = "epmd"

IN_PACKAGE = "rabbitmq/bin/rabbitmq-server"
HOMEBREW = "/opt/homebrew/sbin:/opt/homebrew/bin:/usr/local/sbin:/usr/local/bin"

SCHEDULERS = min(2, os.cpu_count() or 1)
ERLANG_FLAGS = (
    f"+S {SCHEDULERS}:{SCHEDULERS} +SDio 4 +sbwt none +sbwtdcpu none +sbwtdio none "
    "-kernel inet_dist_use_interface {127,0,0,1}"
)

CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
default_user = quire
default_pass = {password}
default_vhost = /
loopback_users = none
disk_free_limit.absolute = 200MB
# The memory of quorum queues is mostly their write-ahead log, which is kept in memory until this size.
raft.wal_max_size_bytes = 67108864
log.console = true
log.console.level = warning
log.file = false
"""


@dataclass(frozen=True)
class Installation:
    """A RabbitMQ with its Erlang."""

    server: Path
    """The script that becomes the server; not Debian's wrapper, which changes the user."""
    epmd: Path
    """Erlang's port mapper."""
    environment: Mapping[str, str]
    """What both need to find their programs and libraries."""


def url(site: Site) -> str:
    """Where the services connect."""
    return f"amqp://quire:{secret(site.home, NAME)}@127.0.0.1:{site.ports.port(NAME)}/"


def opt(home: Path) -> Path:
    """Where packages are unpacked when nobody may install them."""
    return home / "opt"


def find(home: Path) -> Installation | None:
    """The one unpacked under the home, the machine's, or Homebrew's; None when there is none."""
    unpacked = opt(home) / "usr" / "lib"
    path = f"{unpacked / 'erlang' / 'bin'}:{search_path()}:/usr/lib/erlang/bin:{HOMEBREW}"
    brewed = shutil.which("rabbitmq-server", path=HOMEBREW)
    servers = [unpacked / IN_PACKAGE, Path("/usr/lib") / IN_PACKAGE, *([Path(brewed)] if brewed else [])]
    server = next((server for server in servers if server.exists()), None)
    epmd = shutil.which("epmd", path=path)
    if server is None or epmd is None:
        return None
    environment = {"PATH": path}
    libraries = ":".join(str(folder) for folder in unpacked.glob("*-linux-*"))
    if libraries:
        environment["LD_LIBRARY_PATH"] = libraries
    return Installation(server, Path(epmd), environment)


def processes(site: Site) -> list[Process]:
    """epmd, in the foreground on a port of its own, and the node; raises Missing."""
    installation = find(site.home)
    if installation is None:
        raise Missing("RabbitMQ is not installed: run `python -m quire_local install`")
    home, port = site.home / NAME, site.ports.port(NAME)
    dist, epmd_port = site.ports.port("rabbitmq-dist"), site.ports.port(EPMD)
    configuration = CONFIGURATION.format(port=port, password=secret(site.home, NAME))

    def prepare() -> None:
        home.mkdir(parents=True, exist_ok=True)
        write_atomically(home / "rabbitmq.conf", configuration)
        write_atomically(home / "enabled_plugins", "[].\n")

    shared = {**installation.environment, "ERL_EPMD_PORT": str(epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
    node = {
        "HOME": str(home),  # The Erlang cookie lies here.
        "RABBITMQ_NODENAME": f"quire-{dist}@localhost",
        "RABBITMQ_DIST_PORT": str(dist),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        # The machine's own file is not ours to read.
        "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_FLAGS,
        # The script then becomes the Erlang VM, which takes SIGTERM as a clean stop, instead of waiting beside it.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    return [
        Process(
            EPMD,
            (str(installation.epmd), "-port", str(epmd_port), "-address", "127.0.0.1"),
            env=shared,
            ready=probes.listening(epmd_port),
            single="the node has one port mapper",
            grace=3,
        ),
        Process(
            NAME,
            (str(installation.server),),
            env={**shared, **node},
            prepare=prepare,
            ready=probes.amqp(url(site)),
            depends_on=(EPMD,),
            single="the native stack has one node; a cluster is for Kubernetes",
            grace=30,
            ready_timeout=120,
        ),
    ]
