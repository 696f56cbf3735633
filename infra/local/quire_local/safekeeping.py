"""The commands `backup` and `restore`: what they ask for and what they print."""

import argparse
from datetime import datetime
from typing import Any

from rich.console import Console

from quire_local import backup
from quire_local.archive import WrongPlace, folder
from quire_local.backup import BackupFailed
from quire_local.lineage import CannotRestore, said
from quire_local.restore import Report, restore
from quire_local.settings import Settings

FAILURES = (BackupFailed, CannotRestore, WrongPlace)


def add_commands(commands: Any) -> None:
    """Add both to the subparsers of the command line."""
    backing_up = commands.add_parser("backup", help="back up database and objects of the running stack")
    backing_up.set_defaults(run=_backup)
    restoring = commands.add_parser("restore", help="bring back the last state, or that of another moment")
    restoring.add_argument(
        "--time", type=moment, help="for example 2026-11-22T10:00:00Z; without it the end of the log"
    )
    restoring.add_argument("--backup", metavar="NAME", help="begin with this base backup")
    restoring.set_defaults(run=_restore)


def moment(text: str) -> datetime:
    """A time with its zone; raises argparse.ArgumentTypeError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time with its zone, for example 2026-11-22T10:00:00Z")
    return found


def _backup(_: argparse.Namespace, given: Settings) -> int:
    console = Console(highlight=False)
    with console.status("backing up") as spinner:
        made = backup.take(given, spinner.update)
    where = folder(given.home).resolve()
    documents = "" if made["documents"] is None else f" with {made['documents']} documents"
    print(f"backup {made['name']} in {where}")
    print(f"  database: {_size(made['database_bytes'])}{documents}, copied and verified in {made['database_s']} s")
    print(
        f"  objects: {made['objects']} ({_size(made['objects_bytes'])}), of which {made['objects_copied']} were new"
        f" ({_size(made['objects_copied_bytes'])}, {made['objects_linked']} as links), {made['objects_s']} s"
    )
    for name in made["removed"]:
        print(f"  removed {name}, which was older than those to be kept")
    print("  from now on every commit and every object is archived; `make restore TIME=...` brings back any moment")
    if where.stat().st_dev == given.home.stat().st_dev:
        print("  on the same disk as the catalog: this helps against mistakes, not against the loss of the disk")
        print("  (QUIRE_BACKUP_DIR=folder on another disk at the first backup does)")
    return 0


def _restore(options: argparse.Namespace, given: Settings) -> int:
    console = Console(highlight=False)
    with console.status("restoring") as spinner:
        done = restore(given, options.time, options.backup, told=spinner.update)
    _explain(done, options.time)
    return 1 if done.without_content else 0


def _explain(done: Report, time: datetime | None) -> None:
    documents = "" if done.documents is None else f" with {done.documents} documents"
    print(f"restored{documents} in {done.seconds:.1f} s, from the backup {done.base}")
    print(f"  the last transaction there is of {said(done.reached)}")
    if done.short and time is not None:
        print(
            f"  nothing later is archived: either nothing was written until {said(time)}, or the archiving had stopped"
        )
    print(f"  objects put back: {done.put_back}")
    for document in done.without_content[:10]:
        print(f"  MISSING: the content of {document} is neither in the store nor in the backups")
    if len(done.without_content) > 10:
        print(f"  MISSING: and {len(done.without_content) - 10} more")
    print(f"  the database and the messages of before are in {done.aside}; delete them when all is well")
    print("now run `quire admin reconcile --repair`, which compares catalog, index and objects, and then `make backup`")
    print("documents that were under way are taken up by the sweeper 20 minutes after their last change")
    print("(QUIRE_STUCK_AFTER_S); docs/runbooks/database-lost.md says what else to look at")


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MB"
