"""Replaying archived log over a copy of a base backup, in a server of our own that nobody else can reach."""

import asyncio
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from quire_local import archiving, logs, postgres, trees, unprivileged
from quire_local.lineage import CannotRestore, position, said
from quire_local.process import Site
from quire_local.settings import inherited
from quire_local.state import secret

SHORT = "recovery ended before configured recovery target was reached"
STOP_S = 120.0


@dataclass(frozen=True)
class Document:
    """A living document of the restored catalog."""

    folder: str
    """`workspace/document`, below which its objects lie."""
    content_key: str


@dataclass(frozen=True)
class Recovered:
    """A database that was recovered and stopped."""

    data: Path
    reached: datetime | None
    """When the last transaction that was replayed was committed; None where the log after the backup holds none."""
    short: bool
    """The archive ended before the time that was asked for."""
    timeline: int
    branch: int
    """Position up to which the archived log was replayed."""
    documents: list[Document] | None
    """None where there is no catalog."""

    @property
    def histories(self) -> list[Path]:
        return list((self.data / "pg_wal").glob("*.history"))


class Recovery:
    """One recovery in a folder of its own below the home, as a context that cleans up; nothing else is touched."""

    def __init__(self, site: Site, base: Path, log: Mapping[str, Path], told: Callable[[str], None]) -> None:
        """`log`: the archived files by the name under which PostgreSQL asks for them."""
        self._site = site
        self._base = base
        self._archived = log
        self._told = told
        self._folder = site.home / postgres.NAME / "restoring"
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._sockets = Path()
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Recovery":
        shutil.rmtree(self._folder, ignore_errors=True)
        parent = self._folder.parent
        parent.mkdir(parents=True, exist_ok=True)
        unprivileged.own(parent)
        self._folder.mkdir(mode=0o700)
        # Socket addresses are short, and the path to a home need not be.
        self._sockets = Path(tempfile.mkdtemp(prefix="quire-restore-"))
        unprivileged.own(self._sockets)
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None and self._server.poll() is None:
            below = trees.descendants(self._server.pid)
            self._server.kill()
            self._server.wait()
            trees.kill(below)
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def run(self, timeline: int, time: datetime | None) -> Recovered:
        """Replay to `time`, or to the end of the log, and stop; raises CannotRestore with what PostgreSQL said."""
        self._told("copying the base backup")
        shutil.copytree(self._base / "data", self._data)
        self._stage()
        for path in (self._data, *self._data.rglob("*")):
            unprivileged.own(path)
        short = False
        self._start(timeline, time)
        try:
            asyncio.run(self._replayed())
        except CannotRestore:
            if SHORT not in self._log.read_text(errors="replace"):
                raise
            # Nothing was committed after that time, or it was not archived: the end is as near as one can come.
            short = True
            self._start(timeline, None)
            asyncio.run(self._replayed())
        reached, documents = asyncio.run(self._settle())
        self._stop()
        newest = max((self._data / "pg_wal").glob("*.history"))
        branch = newest.read_text().strip().splitlines()[-1].split("\t")[1]
        return Recovered(self._data, reached, short, int(newest.stem, 16), position(branch), documents)

    def _stage(self) -> None:
        """Everything the server needs beside its data: links to the log, and who may connect: we, as the superuser."""
        wal = self._folder / "wal"
        wal.mkdir()
        for name, path in self._archived.items():
            (wal / name).symlink_to(path.resolve())
        (self._folder / "hba.conf").write_text("local all all peer map=restore\n")
        me = pwd.getpwuid(os.geteuid()).pw_name
        (self._folder / "ident.conf").write_text(f"restore {me} postgres\n")
        (self._data / "recovery.signal").touch()

    def _start(self, timeline: int, time: datetime | None) -> None:
        server = postgres.binary("postgres")
        # The folder is ours alone, so that as root the server gets the capability to read it, and the archive with it.
        as_user = unprivileged.prefix(self._folder, server)
        fetch = f"cp {shlex.quote(str(self._folder / 'wal')).replace('%', '%%')}/%f %p"
        target = {} if time is None else {"recovery_target_time": time.isoformat()}
        own = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "port": "5432",  # Part of the socket's name only.
            "hba_file": str(self._folder / "hba.conf"),
            "ident_file": str(self._folder / "ident.conf"),
            "restore_command": fetch,
            "recovery_target_timeline": str(timeline),
            "recovery_target_action": "promote",
            **target,
        }
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                (*as_user, str(server), "-D", str(self._data), *postgres.options(own)),
                env={**inherited(), trees.MARKER: str(self._site.home)},
                cwd=self._folder.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _replayed(self) -> None:
        """Return when the server has left recovery; raises CannotRestore when it ended instead."""
        self._told("replaying the log")
        while True:
            if self._server is None or self._server.poll() is not None:
                said_so = [line for line in logs.tail(self._log, 30) if "FATAL" in line or "PANIC" in line]
                raise CannotRestore("PostgreSQL could not recover:\n" + "\n".join(said_so or logs.tail(self._log)))
            try:
                connection = await self._connect("postgres")
            except (OSError, asyncpg.PostgresError):  # not yet
                await asyncio.sleep(0.1)
                continue
            try:
                recovering, at = await connection.fetchrow(
                    "SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()"
                )
            finally:
                await connection.close()
            if not recovering:
                return
            if at is not None:
                self._told(f"replaying the log: {said(at)}")
            await asyncio.sleep(0.1)

    async def _settle(self) -> tuple[datetime | None, list[Document] | None]:
        """The present passwords, and a slot that keeps the new log from its first record on."""
        connection = await self._connect("postgres")
        try:
            reached = await connection.fetchval("SELECT pg_last_xact_replay_timestamp()")
            await connection.execute(f"ALTER ROLE postgres PASSWORD '{secret(self._site.home, 'postgres-admin')}'")
            await archiving.allow(connection, secret(self._site.home, archiving.REPLICATOR))
            await archiving.reserve(connection)
            has_quire = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", postgres.DATABASE)
        finally:
            await connection.close()
        return reached, await self._documents() if has_quire else None

    async def _documents(self) -> list[Document] | None:
        connection = await self._connect(postgres.DATABASE)
        try:
            if not await connection.fetchval("SELECT to_regclass('catalog.document')"):
                return None
            rows = await connection.fetch(
                "SELECT workspace_id, id, content_key FROM catalog.document WHERE deleted_at IS NULL"
            )
        finally:
            await connection.close()
        return [Document(f"{row['workspace_id']}/{row['id']}", row["content_key"]) for row in rows]

    def _connect(self, database: str) -> Any:
        return asyncpg.connect(host=str(self._sockets), user="postgres", database=database, timeout=5)

    def _stop(self) -> None:
        if self._server is None:
            return
        self._server.send_signal(signal.SIGINT)
        if self._server.wait(STOP_S) != 0:
            raise CannotRestore("the recovered server did not stop cleanly:\n" + "\n".join(logs.tail(self._log)))
