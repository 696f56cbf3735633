"""Continuous archiving while the stack runs: pg_receivewal follows the log, the keeper follows the objects.

pg_receivewal gets each transaction as it is committed, while `archive_command` gets files of 16 MiB, or padded ones
every `archive_timeout`; it needs no program in the server's own account, and what the server must keep for it is
bounded by `max_slot_wal_keep_size`.
"""

import asyncio
import sys
from datetime import UTC, datetime

import asyncpg

from quire_local import archive, postgres
from quire_local.archive import Archive
from quire_local.lineage import Stretch
from quire_local.process import Process, Site
from quire_local.state import secret

RECEIVER = "wal-archive"
KEEPER = "backup-keeper"
SLOT = "quire_archive"
REPLICATOR = "quire_backup"
PATIENCE_S = 30.0


def processes(site: Site) -> list[Process]:
    """What archives while the stack runs; nothing before the first backup.

    Neither has a probe: a backup disk that is away shows in the status and must not keep the catalog from starting.
    """
    if not archive.enabled(site.home):
        return []
    receive = (
        str(postgres.binary("pg_receivewal")), "--no-password", "--no-loop", "--status-interval=1",
        f"--slot={SLOT}", f"--directory={archive.folder(site.home) / 'wal' / 'current'}",
        "--host=127.0.0.1", f"--port={site.ports.port(postgres.NAME)}", f"--username={REPLICATOR}",
    )  # fmt: skip
    password = {"PGPASSWORD": secret(site.home, REPLICATOR)}
    keep = (sys.executable, "-m", "quire_local.keeper", str(site.home), "s3" if site.settings.s3 else "file")
    single = "there is one archive"
    return [
        Process(RECEIVER, receive, env=password, depends_on=(postgres.NAME,), single=single),
        Process(KEEPER, keep, depends_on=(postgres.NAME,), single=single),
    ]


async def allow(connection: asyncpg.Connection, password: str) -> None:
    """The role that may read the log and the files of the database, and nothing else. `connection`: the superuser's."""
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", REPLICATOR):
        await connection.execute(f"CREATE ROLE {REPLICATOR} LOGIN REPLICATION")
    await connection.execute(f"ALTER ROLE {REPLICATOR} PASSWORD '{password}'")


async def reserve(connection: asyncpg.Connection) -> None:
    """A new slot: from here on the server keeps its log until it is archived."""
    await connection.execute("SELECT pg_create_physical_replication_slot($1, true)", SLOT)


async def ensure(site: Site, folder: Archive) -> bool:
    """Make the running server ready to be archived into the folder; returns whether a new stretch was begun.

    That is so at the first backup, and where the log was torn: the slot was lost because nobody took the log for too
    long, or the database is another one than before.
    """
    connection = await asyncpg.connect(postgres.admin_url(site))
    try:
        await allow(connection, secret(site.home, REPLICATOR))
        system = str(await connection.fetchval("SELECT system_identifier FROM pg_control_system()"))
        timeline = await connection.fetchval("SELECT timeline_id FROM pg_control_checkpoint()")
        slot = await connection.fetchrow("SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", SLOT)
        current = folder.current()
        same = current is not None and (current.system, current.timeline) == (system, timeline)
        if same and slot is not None and slot["wal_status"] != "lost":
            return False
        if slot is not None:
            await connection.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1", SLOT
            )
            await _until(connection, "SELECT NOT active FROM pg_replication_slots WHERE slot_name = $1")
            await connection.execute("SELECT pg_drop_replication_slot($1)", SLOT)
        # In this order: what is received from the new slot never lands in the old stretch.
        folder.begin(Stretch(0, system, timeline, datetime.now(UTC)))
        await reserve(connection)
        return True
    finally:
        await connection.close()


async def wait_for_receiver(site: Site) -> None:
    """Return when the log is being received; raises TimeoutError."""
    connection = await asyncpg.connect(postgres.admin_url(site))
    try:
        await _until(connection, "SELECT active FROM pg_replication_slots WHERE slot_name = $1")
    finally:
        await connection.close()


async def _until(connection: asyncpg.Connection, question: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await connection.fetchval(question, SLOT):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.05)
