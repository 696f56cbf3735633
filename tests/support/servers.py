"""The real servers that tests run against: from the environment, else from Docker where an engine answers, else native.

QUIRE_TEST_POSTGRES_URL, QUIRE_TEST_BROKER_URL, QUIRE_TEST_REDIS_URL and QUIRE_TEST_S3_URL (with AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY) name servers that run already. The workers of one parallel run share what is started here; the
last one to leave stops it.
"""

import fcntl
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quire_local.servers import Servers

ENVIRONMENT = {
    "postgres": "QUIRE_TEST_POSTGRES_URL",
    "rabbitmq": "QUIRE_TEST_BROKER_URL",
    "redis": "QUIRE_TEST_REDIS_URL",
    "s3": "QUIRE_TEST_S3_URL",
}


@dataclass(frozen=True)
class Server:
    """Where a server answers; for S3 with the credentials."""

    url: str
    access_key: str = ""
    secret_key: str = ""


class Provision:
    """Starts each server when the first test asks for it, and stops all of them at the end."""

    def __init__(self) -> None:
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
        self._folder = Path(tempfile.gettempdir()) / f"quire-test-{run[:12]}"
        self._found: dict[str, Server] = {}
        self._stack = ExitStack()

    def server(self, name: str) -> Server:
        """The server with this name (postgres, rabbitmq, redis or s3), running."""
        if name not in self._found:
            given = os.environ.get(ENVIRONMENT[name])
            if given:
                keys = (os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", ""))
                self._found[name] = Server(given, *keys)
            elif docker_answers():
                self._found[name] = self._stack.enter_context(_shared(self._folder, name, _CONTAINERS[name]))
            else:
                self._found[name] = self._native(name)
        return self._found[name]

    def _native(self, name: str) -> Server:
        self._folder.mkdir(exist_ok=True)
        servers = Servers(self._folder, {name})
        self._stack.callback(servers.stop)
        servers.start()
        environment = servers.environment
        url = servers.urls["postgres_admin" if name == "postgres" else name]
        if name != "s3":
            return Server(url)
        return Server(url, environment["QUIRE_S3_ACCESS_KEY_ID"], environment["QUIRE_S3_SECRET_ACCESS_KEY"])

    def close(self) -> None:
        """Let go of everything."""
        self._stack.close()
        users = self._folder / "run" / "users.json"
        if not users.exists() or not json.loads(users.read_text())["users"]:
            shutil.rmtree(self._folder, ignore_errors=True)


@functools.cache
def docker_answers() -> bool:
    """Whether there is a Docker engine to start containers on."""
    try:
        import docker

        docker.from_env(timeout=3).ping()
    except Exception:  # no engine, no socket, no right to use it: all the same here
        return False
    return True


def _postgres() -> tuple[Any, Server]:
    from testcontainers.postgres import PostgresContainer

    container = PostgresContainer("pgvector/pgvector:pg18", driver=None).start()
    return container, Server(container.get_connection_url())


def _rabbitmq() -> tuple[Any, Server]:
    from testcontainers.rabbitmq import RabbitMqContainer

    container = RabbitMqContainer("rabbitmq:4").start()
    port = container.get_exposed_port(5672)
    return container, Server(f"amqp://guest:guest@{container.get_container_host_ip()}:{port}/")


def _redis() -> tuple[Any, Server]:
    from testcontainers.redis import RedisContainer

    container = RedisContainer("redis:8").start()
    return container, Server(f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0")


def _s3() -> tuple[Any, Server]:
    from testcontainers.minio import MinioContainer

    container = MinioContainer().start()
    config = container.get_config()
    return container, Server(f"http://{config['endpoint']}", config["access_key"], config["secret_key"])


_CONTAINERS: dict[str, Callable[[], tuple[Any, Server]]] = {
    "postgres": _postgres,
    "rabbitmq": _rabbitmq,
    "redis": _redis,
    "s3": _s3,
}


@contextmanager
def _shared(folder: Path, name: str, start: Callable[[], tuple[Any, Server]]) -> Iterator[Server]:
    """One container for all workers of a run: the first one starts it, the last one to leave removes it."""
    folder.mkdir(exist_ok=True)
    note = folder / f"{name}.json"

    @contextmanager
    def locked() -> Iterator[dict[str, Any]]:
        with (folder / f"{name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {"users": 0}
            yield known
            note.write_text(json.dumps(known))

    with locked() as known:
        if not known["users"]:
            os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # it would remove the container with its first user
            container, server = start()
            known |= {"id": container.get_wrapped_container().id, "server": vars(server)}
        known["users"] += 1
    try:
        yield Server(**known["server"])
    finally:
        with locked() as known:
            known["users"] -= 1
            if not known["users"]:
                import docker

                docker.from_env().containers.get(known["id"]).remove(force=True, v=True)
