"""Taking a backup while the stack runs: the database first, then the objects, then the manifest that makes it count.

In this order because an object is stored before the row that names it, so that whatever the database names is there.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg

from quire_local import archive, archiving, credentials, launcher, objects, postgres
from quire_local.archive import Archive
from quire_local.lineage import said
from quire_local.ports import PortBook
from quire_local.process import Site
from quire_local.settings import Settings, inherited
from quire_local.state import State, secret, write_atomically

Told = Callable[[str], None]
GROW_S = 60.0


class BackupFailed(RuntimeError):
    """No backup was made; the text says why. What there was before is untouched."""


def take(settings: Settings, told: Told = lambda _: None) -> dict[str, Any]:
    """Back up the running stack and return the manifest, with `removed`: the backups that made room.

    `told` is given what is being done, again and again. The first backup begins the archiving. Raises BackupFailed,
    archive.WrongPlace, control.NotRunning.
    """
    home = settings.home
    launcher.ask(home, {"do": "status"})  # Raises where no stack runs.
    site = Site(settings, PortBook(home, given=State(home).ports()))
    root = archive.place(home, settings.backup_dir)
    if archive.enabled(home) and not (root / "wal").is_dir():
        raise BackupFailed(
            f"there are no backups in {archive.folder(home).resolve()}: is the disk there?"
            f" (to begin anew, remove {archive.folder(home)})"
        )
    archive.connect(home, root)
    with alone(root):
        folder = Archive(root)
        if settings.backups_kept is not None:
            folder.keep(settings.backups_kept)
        told("looking after the archive of the log")
        if asyncio.run(archiving.ensure(site, folder)):
            _start_archiving(home)
        asyncio.run(archiving.wait_for_receiver(site))
        return _take(site, folder, told)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Be the only one who backs up into, or restores from, this folder; raises BackupFailed."""
    with (root / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupFailed(f"another backup or restore is at work in {root}") from None
        yield


def verify(path: Path) -> str:
    """What pg_verifybackup says against a base backup's files and log; empty when all is well."""
    command = (str(postgres.binary("pg_verifybackup")), "--quiet", str(path / "data"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def _start_archiving(home: Path) -> None:
    """Let the running supervisor start what archives, or start it again where the stretch is a new one."""
    launcher.ask(home, {"do": "grow"})
    launcher.ask(home, {"do": "restart", "name": archiving.RECEIVER})


def _take(site: Site, folder: Archive, told: Told) -> dict[str, Any]:
    began = datetime.now(UTC)
    name = began.isoformat(timespec="milliseconds")[:-6].replace(":", "-") + "Z"
    draft = folder.base_folder(f".{name}")
    for left in draft.parent.glob(".*"):  # by a backup that was interrupted
        shutil.rmtree(left)
    draft.mkdir(parents=True)
    clock = time.monotonic()
    _copy_database(site, draft / "data", told)
    ended = datetime.now(UTC)
    told("verifying the database")
    if problem := verify(draft):
        raise BackupFailed(f"the copy of the database is not sound: {problem}")
    database_s, clock = time.monotonic() - clock, time.monotonic()

    told("copying the objects")
    store = objects.of(site)
    copied = objects.mirror(store, folder.objects)
    removed_keys = objects.gone(store, folder.objects)
    (draft / "gone.json").write_text(json.dumps(removed_keys))
    _keep_keys(site.home, draft / "keys")

    ranges = json.loads((draft / "data" / "backup_manifest").read_text())["WAL-Ranges"]
    current = folder.current()
    if current is None:
        raise BackupFailed(f"{folder.root / 'wal' / 'current'} was removed meanwhile")
    manifest = {
        "name": name,
        "began": said(began),
        "ended": said(ended),
        "stretch": current.number,
        "timeline": ranges[-1]["Timeline"],
        "wal_start": ranges[0]["Start-LSN"],
        "wal_stop": ranges[-1]["End-LSN"],
        "versions": {"quire": version("quire-local"), **asyncio.run(_versions(site))},
        "database_bytes": sum(path.stat().st_size for path in (draft / "data").rglob("*") if path.is_file()),
        "database_s": round(database_s, 1),
        "backup_manifest_sha256": _sha256(draft / "data" / "backup_manifest"),
        "objects": copied.seen,
        "objects_bytes": copied.seen_bytes,
        "objects_copied": copied.copied,
        "objects_copied_bytes": copied.copied_bytes,
        "objects_linked": copied.linked,
        "objects_s": round(time.monotonic() - clock, 1),
        "documents": asyncio.run(_count_documents(site)),
    }
    write_atomically(draft / "manifest.json", json.dumps(manifest, indent=1))
    draft.rename(folder.base_folder(name))
    told("removing what is too old")
    return {**manifest, "removed": _remove_old(folder, store)}


def _copy_database(site: Site, target: Path, told: Told) -> None:
    command = (
        str(postgres.binary("pg_basebackup")), f"--pgdata={target}", "--wal-method=stream", "--checkpoint=fast",
        "--progress", "--no-password", "--label=quire", "--host=127.0.0.1",
        f"--port={site.ports.port(postgres.NAME)}", f"--username={archiving.REPLICATOR}",
    )  # fmt: skip
    env = {**inherited(), "PGPASSWORD": secret(site.home, archiving.REPLICATOR)}
    said_so: list[str] = []
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as copying:
        assert copying.stderr is not None
        for line in copying.stderr:  # A lone carriage return ends a line, too.
            if progress := re.search(r"(\d+)/(\d+) kB", line):
                told(f"copying the database: {int(progress[1]) / 1024:.0f} of {int(progress[2]) / 1024:.0f} MB")
            elif line.strip():
                said_so.append(line.strip())
    if copying.returncode:
        raise BackupFailed("pg_basebackup failed: " + "; ".join(said_so[-3:]))


def _remove_old(folder: Archive, store: objects.Objects) -> list[str]:
    leaving = folder.bases()[: max(0, len(folder.bases()) - folder.kept)]
    # What the store had no more when a leaving backup was made, no moment after that backup needs.
    unneeded = {key for base in leaving for key in _gone_by(folder, base.name)}
    removed = folder.prune()
    if unneeded:
        objects.forget(store, folder.objects, sorted(unneeded))
    return removed


def _gone_by(folder: Archive, name: str) -> list[str]:
    try:
        found: list[str] = json.loads((folder.base_folder(name) / "gone.json").read_text())
    except FileNotFoundError:
        return []
    return found


def _keep_keys(home: Path, target: Path) -> None:
    """The passwords and credentials, for a machine that has lost everything but the backups."""
    target.mkdir(mode=0o700)
    for source in (home / "run" / "secrets.json", credentials.path(home)):
        if source.exists():
            write_atomically(target / source.name, source.read_text())


async def _versions(site: Site) -> dict[str, str]:
    connection = await asyncpg.connect(postgres.admin_url(site), database=postgres.DATABASE)
    try:
        found = {"postgres": str(await connection.fetchval("SHOW server_version"))}
        for schema in ("catalog", "search"):
            if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.migration"):
                await connection.execute("SELECT set_config('search_path', $1, false)", schema)
                found[schema] = str(await connection.fetchval("SELECT max(version_num) FROM migration"))
        return found
    finally:
        await connection.close()


async def _count_documents(site: Site) -> int | None:
    connection = await asyncpg.connect(postgres.admin_url(site), database=postgres.DATABASE)
    try:
        if not await connection.fetchval("SELECT to_regclass('catalog.document')"):
            return None
        return int(await connection.fetchval("SELECT count(*) FROM catalog.document WHERE deleted_at IS NULL"))
    finally:
        await connection.close()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
