"""The folder of backups: base backups, the stretches of the archived log, and the pool of objects.

    base/NAME/data              a base backup as pg_basebackup wrote it
    base/NAME/manifest.json     when, from where to where in the log, versions, counts, checksums
    base/NAME/keys/             the passwords and the credentials that went with the database
    wal/0001/                   one stretch of the log, with stretch.json
    wal/current                 link to the one that is being written
    objects/KEY                 every object that a moment which can be restored may need

`.quire/backups` is this folder, or a link to it.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quire_local import lineage
from quire_local.lineage import Base, CannotRestore, Route, Stretch
from quire_local.state import read_json, write_atomically

KEPT = 3
"""Base backups that are kept unless QUIRE_BACKUP_KEEP says otherwise."""

_LOG_FILE = re.compile(r"[0-9A-F]{24}(\.partial)?")


class WrongPlace(RuntimeError):
    """QUIRE_BACKUP_DIR contradicts where the backups of this home are; the text says what to do."""


def folder(home: Path) -> Path:
    """Where a home has its backups."""
    return home / "backups"


def enabled(home: Path) -> bool:
    """Whether somebody made a backup, with which the archiving begins; also where its disk is not there now."""
    return os.path.lexists(folder(home))


def place(home: Path, wanted: Path | None) -> Path:
    """The folder for backups of this home, which need not exist yet; raises WrongPlace."""
    link = folder(home)
    if wanted is None or not enabled(home):
        return wanted or link
    if link.resolve() != wanted.resolve():
        raise WrongPlace(
            f"the backups of {home} are in {link.resolve()}, not in {wanted}: "
            f"to move them, stop the stack, move the folder, and put a link to it at {link}"
        )
    return wanted


def connect(home: Path, chosen: Path) -> None:
    """Make the chosen folder the home's, for the owner alone."""
    chosen.mkdir(parents=True, exist_ok=True)
    chosen.chmod(0o700)
    if not enabled(home):
        folder(home).symlink_to(chosen, target_is_directory=True)


class Archive:
    """Reads and changes what is in a folder of backups."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = root / "objects"

    @property
    def kept(self) -> int:
        """How many base backups are to be kept."""
        return int(read_json(self.root / "settings.json").get("kept", KEPT))

    def keep(self, count: int) -> None:
        write_atomically(self.root / "settings.json", json.dumps({"kept": count}))

    def bases(self) -> list[Base]:
        """The complete base backups, the oldest first."""
        found = [self._base(path) for path in (self.root / "base").glob("[!.]*/manifest.json")]
        return sorted(found, key=lambda base: base.ended)

    def base_folder(self, name: str) -> Path:
        return self.root / "base" / name

    def manifest(self, name: str) -> dict[str, Any]:
        return read_json(self.base_folder(name) / "manifest.json")

    def stretches(self) -> list[Stretch]:
        """The oldest first."""
        found = []
        for path in sorted((self.root / "wal").glob("[0-9]*/stretch.json")):
            content = read_json(path)
            found.append(Stretch(**{**content, "began": datetime.fromisoformat(content["began"])}))
        return found

    def current(self) -> Stretch | None:
        """The stretch that is being written."""
        link = self.root / "wal" / "current"
        number = int(link.readlink().name) if link.is_symlink() else 0
        return next((stretch for stretch in self.stretches() if stretch.number == number), None)

    def begin(self, stretch: Stretch, histories: Iterable[Path] = ()) -> Stretch:
        """Open a new stretch, numbered after all others, with the history files of its timeline; and write to it."""
        # Also folders that a crash left without their description count.
        taken = [int(path.name) for path in (self.root / "wal").glob("[0-9]*")]
        made = replace(stretch, number=max(taken, default=0) + 1)
        path = self.log_folder(made)
        path.mkdir(parents=True)
        for history in histories:
            shutil.copyfile(history, path / history.name)
        content = {**asdict(made), "began": made.began.isoformat()}
        write_atomically(path / "stretch.json", json.dumps(content, indent=1))
        draft = path.with_name(".current")
        draft.unlink(missing_ok=True)
        draft.symlink_to(path.name, target_is_directory=True)
        draft.replace(path.with_name("current"))
        return made

    def log_folder(self, stretch: Stretch) -> Path:
        return self.root / "wal" / f"{stretch.number:04}"

    def log_files(self, stretch: Stretch) -> list[Path]:
        """The files of a stretch's log, the one that is being written (`.partial`) included."""
        return sorted(path for path in self.log_folder(stretch).glob("*") if _LOG_FILE.fullmatch(path.name))

    def log_for(self, route: Route, time: datetime | None) -> dict[str, Path]:
        """The log files of a route by the name under which PostgreSQL asks for them; raises CannotRestore for a gap.

        Of two files with one name the complete one is taken. Every history file there is goes with them, so that
        PostgreSQL gives the new timeline a number that none has had.
        """
        found: dict[str, Path] = {path.name: path for path in (self.root / "wal").glob("[0-9]*/*.history")}
        for stretch in route.stretches:
            for path in self.log_files(stretch):
                name = path.name.removesuffix(".partial")
                if name not in found or path.suffix != ".partial":
                    found[name] = path
        have = {lineage.segment_of(name): path for name, path in found.items() if not name.endswith(".history")}
        first = lineage.segment(route.base.stop) + 1  # What lies before is in the base backup itself.
        last_before = None
        for number in range(first, max(have, default=0) + 1):
            if number not in have:
                self._refuse_gap(number, have.get(number - 1) or last_before, time)
                break
            last_before = have[number]
        return found

    def _refuse_gap(self, number: int, before: Path | None, time: datetime | None) -> None:
        until = datetime.fromtimestamp(before.stat().st_mtime, UTC) if before else None
        if time is not None and until is not None and time < until:
            return
        hint = f"; a TIME before {lineage.said(until)} can be restored" if until else ""
        high, low = divmod(number, 2**32 // lineage.SEGMENT_BYTES)
        raise CannotRestore(f"the archived log has a gap: the file ????????{high:08X}{low:08X} is missing{hint}")

    def log_bytes_since(self, base: Base) -> int:
        """How much log was archived since a base backup."""
        current = self.current()
        files = self.log_files(current) if current else []
        return sum(path.stat().st_size for path in files if lineage.segment_of(path.name) > lineage.segment(base.stop))

    def prune(self) -> list[str]:
        """Remove the base backups beyond those to be kept, and all log that only they needed; returns their names.

        A stretch that is being written is never removed.
        """
        bases = self.bases()
        leaving = bases[: max(0, len(bases) - self.kept)]
        for base in leaving:
            # Renamed first: a removal that is interrupted leaves no half of a backup.
            gone = self.base_folder(base.name).with_name(f".{base.name}")
            self.base_folder(base.name).rename(gone)
            shutil.rmtree(gone)
        current = self.current()
        needed = lineage.needed_from(self.stretches(), self.bases())
        for stretch in self.stretches():
            start = needed[stretch.number]
            if start is None and stretch != current:
                shutil.rmtree(self.log_folder(stretch))
            elif start is not None:
                for path in self.log_files(stretch):
                    if lineage.segment_of(path.name) < lineage.segment(start):
                        path.unlink()
        return [base.name for base in leaving]

    def _base(self, path: Path) -> Base:
        content = read_json(path)
        return Base(
            name=path.parent.name,
            stretch=content["stretch"],
            ended=datetime.fromisoformat(content["ended"]),
            start=lineage.position(content["wal_start"]),
            stop=lineage.position(content["wal_stop"]),
            size=content["database_bytes"],
        )
