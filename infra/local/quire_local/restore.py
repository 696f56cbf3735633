"""Restoring: what there is moves aside and is never deleted, and the database of another moment takes its place.

Checked and recovered beside the present state before anything moves, so that a restore that cannot succeed changes
nothing. The broker's messages move aside with the database they belong to: they speak of another moment, some of
documents that the restored catalog does not know. What was in flight at that moment is replayed from the event log.
"""

import shutil
import time as clock
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from quire_local import archive, credentials, launcher, lineage, objects, postgres, rabbitmq, unprivileged
from quire_local.archive import Archive
from quire_local.backup import alone, verify
from quire_local.lineage import CannotRestore, Route, Stretch, said
from quire_local.ports import PortBook
from quire_local.process import Site
from quire_local.recovery import Recovered, Recovery
from quire_local.settings import Settings

Told = Callable[[str], None]
SPARE_BYTES = 256 * 1024**2
"""Beside the database, for the log that is being replayed."""


@dataclass(frozen=True)
class Report:
    """What a restore did."""

    base: str
    reached: datetime
    """The last transaction that is there; the base backup's own moment where none follows it."""
    short: bool
    """The archive ended before the time that was asked for."""
    seconds: float
    documents: int | None
    put_back: int
    """Objects that the store lacked."""
    without_content: list[str]
    """Documents (`workspace/document`) whose content is neither in the store nor in the backups."""
    aside: Path
    """Where the state of before lies."""


def restore(
    settings: Settings,
    time: datetime | None = None,
    name: str | None = None,
    specification: str = launcher.NATIVE,
    told: Told = lambda _: None,
) -> Report:
    """Bring back the state at `time`, or the last archived one, starting from the named backup or the best one.

    Raises CannotRestore, backup.BackupFailed where a backup is being made, archive.WrongPlace, launcher.UpFailed.
    """
    began, home = clock.monotonic(), settings.home
    if time is not None and time > datetime.now(UTC):
        raise CannotRestore(f"{said(time)} is in the future")
    root = archive.place(home, settings.backup_dir)
    if not root.is_dir():
        raise CannotRestore(
            f"there is no backup in {root}: `make backup` makes one, QUIRE_BACKUP_DIR names another place"
        )
    with alone(root):
        folder = Archive(root)
        route = lineage.choose(folder.stretches(), folder.bases(), time, name)
        told("verifying the base backup")
        _check(folder, route, time, home)
        told("stopping the stack")
        was_running = launcher.down(home)
        aside = home / "before" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        site = Site(settings, PortBook(home))
        try:
            _take_keys(folder, route, home)
            # Only now has the archive the end of the log.
            log = folder.log_for(route, time)
            with Recovery(site, folder.base_folder(route.base.name), log, told) as recovery:
                recovered = recovery.run(route.target.timeline, time)
                if time is None or recovered.short:
                    _check_reached_the_end(log, recovered)
                told("putting it in place")
                _swap(home, recovered, folder, route, aside)
        except BaseException:
            if was_running and postgres.exists(home):
                told("starting what was there before")
                launcher.up(settings, specification)
            raise
    archive.connect(home, root)
    store = objects.of(site)
    if settings.s3:  # The store is a server of the stack.
        launcher.up(settings, specification)
    put_back, missing = _restore_objects(store, folder, recovered, told)
    told("starting the stack")
    launcher.up(settings, specification)
    return Report(
        base=route.base.name,
        reached=recovered.reached or route.base.ended,
        short=recovered.short,
        seconds=clock.monotonic() - began,
        documents=None if recovered.documents is None else len(recovered.documents),
        put_back=put_back,
        without_content=missing,
        aside=aside,
    )


def _check(folder: Archive, route: Route, time: datetime | None, home: Path) -> None:
    others = [base.name for base in folder.bases() if base.name != route.base.name]
    if problem := verify(folder.base_folder(route.base.name)):
        hint = f"; `BACKUP=` takes another: {', '.join(others)}" if others else ""
        raise CannotRestore(f"the backup {route.base.name} is damaged: {problem}{hint}")
    folder.log_for(route, time)
    nearest = next(path for path in (home / postgres.NAME, *home.parents, Path("/")) if path.exists())
    free, needed = shutil.disk_usage(nearest).free, route.base.size + SPARE_BYTES
    if free < needed:
        raise CannotRestore(f"{nearest} has {free >> 20} MB free, and {needed >> 20} MB are needed")


def _check_reached_the_end(log: dict[str, Path], recovered: Recovered) -> None:
    """PostgreSQL takes a damaged record for the end of the log; in or before the last whole file it is not."""
    whole = [name for name, path in log.items() if path.suffix not in {".history", ".partial"}]
    last = max(map(lineage.segment_of, whole), default=0)
    if lineage.segment(recovered.branch) < last:
        until = said(recovered.reached) if recovered.reached else "the base backup"
        raise CannotRestore(f"the archived log is damaged after {until}: give that as TIME to do without what follows")


def _take_keys(folder: Archive, route: Route, home: Path) -> None:
    """On a machine that has none: the passwords that went with the database. Where there are some they stay."""
    saved, present = folder.base_folder(route.base.name) / "keys" / "secrets.json", home / "run" / "secrets.json"
    if saved.exists() and not present.exists():
        present.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(saved, present)


def _swap(home: Path, recovered: Recovered, folder: Archive, route: Route, aside: Path) -> None:
    aside.mkdir(parents=True)
    # Histories first: what follows must never write a timeline that the archive does not know.
    made = Stretch(0, route.target.system, recovered.timeline, datetime.now(UTC), route.target.number, recovered.branch)
    folder.begin(made, recovered.histories)
    if postgres.data(home).exists():
        postgres.data(home).rename(aside / "postgres-data")
        unprivileged.own(aside)
    recovered.data.rename(postgres.data(home))
    messages = home / rabbitmq.NAME / "mnesia"
    if messages.exists():
        messages.rename(aside / "rabbitmq-mnesia")
    # The first API key is a row of the database that it was made in.
    saved = folder.base_folder(route.base.name) / "keys" / credentials.path(home).name
    if saved.exists():
        if credentials.path(home).exists():
            shutil.copy(credentials.path(home), aside)
        shutil.copy(saved, credentials.path(home))


def _restore_objects(
    store: objects.Objects, folder: Archive, recovered: Recovered, told: Told
) -> tuple[int, list[str]]:
    """Only of documents that live in the restored catalog: what was deleted before that moment stays deleted."""
    told("putting back the objects")
    if recovered.documents is None:
        return 0, []
    done = objects.put_back(store, folder.objects, [document.folder for document in recovered.documents])
    present = {found.key for found in store.find()}
    return done.copied, [document.folder for document in recovered.documents if document.content_key not in present]
