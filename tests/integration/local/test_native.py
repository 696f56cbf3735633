"""The whole native stack with the real servers; Quire's services are stand-ins of the same names."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from quire_local import credentials, postgres, rabbitmq, status, trees
from quire_local.ports import PortBook
from quire_local.presence import is_running
from quire_local.process import Site
from quire_local.servers import Servers
from quire_local.settings import Settings
from quire_local.state import State
from tests.integration.local.standins import write_service_packages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(rabbitmq.find(Path("/nonexistent")) is None, reason="RabbitMQ is not installed"),
]

HOLDER = """
import pathlib, sys
from quire_local.servers import Servers
Servers(pathlib.Path(sys.argv[1]), ["redis"]).start()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running stack in a folder that only its owner can enter, below a folder with a space in its name."""
    outer = tmp_path_factory.mktemp("a folder", numbered=True)
    outer.chmod(stat.S_IRWXU)
    packages = outer / "packages"
    packages.mkdir()
    home = outer / "home"
    spare = PortBook(outer).port("spare")
    env = {
        **os.environ,
        "QUIRE_HOME": str(home),
        "QUIRE_PORT": str(spare),
        "PYTHONPATH": write_service_packages(packages),
    }
    yield env
    command(env, "down")
    assert trees.left_behind(home) == []


def command(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "quire_local", *words), env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(300)  # It boots the broker twice, which takes 5 s each time on an idle machine.
def test_the_stack_comes_up_works_survives_a_broker_crash_and_leaves_nothing(environment: dict[str, str]) -> None:
    home = Path(environment["QUIRE_HOME"])
    settings = Settings(home, int(environment["QUIRE_PORT"]), s3=False)

    came_up = command(environment, "up")

    assert came_up.returncode == 0, came_up.stdout + came_up.stderr
    assert "QUIRE_API_KEY=key-of-the-test" in came_up.stdout
    assert httpx.get(f"{credentials.read(home)['QUIRE_URL']}/readiness").status_code == 200
    assert credentials.read(home)["QUIRE_URL"] == f"http://127.0.0.1:{environment['QUIRE_PORT']}"
    assert stat.S_IMODE(credentials.path(home).stat().st_mode) == 0o600
    assert "key-of-the-test" not in "".join(path.read_text() for path in (home / "logs").glob("*.log"))

    report = status.collect(settings)
    assert status.all_well(report), report
    rows = {row["name"]: row for row in report["processes"]}
    services = {"gateway", "ingest", "embedder", "enricher", "search", "previewer"}
    assert rows.keys() == services | {"postgres", "epmd", "rabbitmq", "redis", "supervisor"}
    assert all(row["memory_mb"] > 0 for row in rows.values())
    assert report["queues"]

    # Nothing of ours can be reached from another machine.
    for row in rows.values():
        for process in (psutil.Process(row["pid"]), *psutil.Process(row["pid"]).children(recursive=True)):
            listening = [one for one in process.net_connections("tcp") if one.status == "LISTEN"]
            assert {one.laddr.ip for one in listening} <= {"127.0.0.1", "::1"}, process

    broker = psutil.Process(rows["rabbitmq"]["pid"])
    below = broker.children(recursive=True)
    os.kill(broker.pid, signal.SIGKILL)
    deadline = time.monotonic() + 40
    while not status.all_well(report := status.collect(settings)):
        assert time.monotonic() < deadline, report
    assert {row["name"]: row["restarts"] for row in report["processes"]}["rabbitmq"] == 1
    assert trees.wait_ended(below, 5)

    supervisor = psutil.Process(report["supervisor"])
    family = supervisor.children(recursive=True)
    down = command(environment, "down")
    assert down.returncode == 0, down.stderr
    assert trees.wait_ended([supervisor, *family], 0)
    assert command(environment, "status").returncode == 1


async def test_servers_are_shared_by_their_users_and_end_with_the_last(tmp_path: Path) -> None:
    servers = Servers(tmp_path, {"postgres"})
    servers.start()
    try:
        grown = Servers(tmp_path, {"redis"}).start()
        assert grown.urls["redis"].startswith("redis://")
        connection = await asyncpg.connect(servers.urls["postgres"])
        assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,3]'::vector") == 1
        assert await connection.fetchval("SELECT similarity('quire', 'quires') > 0.5")
        assert await connection.fetchval("SHOW fsync") == "on"
        assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        await connection.execute("CREATE DATABASE other")
        await connection.close()

        # Another process of the same user keeps them up.
        other = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HOLDER, str(tmp_path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert other.stdout is not None
        assert await other.stdout.readline() == b"held\n"
        servers.stop()
        assert is_running(tmp_path)
        await other.communicate(b"")
    finally:
        servers.stop()
    assert not is_running(tmp_path)
    assert trees.left_behind(tmp_path) == []


def test_servers_whose_users_were_all_killed_end_by_themselves(tmp_path: Path) -> None:
    holder = (sys.executable, "-c", HOLDER, str(tmp_path))
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == b"held\n"
        user.kill()
    deadline = time.monotonic() + 20
    while is_running(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert trees.left_behind(tmp_path) == []


def test_a_database_survives_a_restart_with_its_password_and_port(tmp_path: Path) -> None:
    with Servers(tmp_path, {"postgres"}) as first:
        url = first.urls["postgres"]
    assert postgres.exists(tmp_path)
    site = Site(Settings(tmp_path, None, s3=False), PortBook(tmp_path, given=State(tmp_path).ports()))
    with Servers(tmp_path, {"postgres"}) as second:
        assert second.urls["postgres"] == url == postgres.url(site)
