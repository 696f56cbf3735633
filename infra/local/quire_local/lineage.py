"""Which base backup and which stretches of archived log lead to a moment, and what no kept backup needs any more.

A stretch is one unbroken piece of the write-ahead log, archived in a folder of its own. A restore ends one and begins
the next, which leaves its parent at the position up to which the log was replayed; so does a log that was torn, whose
next stretch has no parent. A moment lies in the stretch that was being written at that moment: what was undone by a
restore stays reachable by naming a time before the restore.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

SEGMENT_BYTES = 16 * 1024**2
"""Size of a file of the log, as initdb chooses it."""


class CannotRestore(RuntimeError):
    """The backups cannot give what was asked for; the text says what is missing."""


@dataclass(frozen=True)
class Stretch:
    """One unbroken piece of the log."""

    number: int
    system: str
    """The database system's identifier: a database made anew has another one."""
    timeline: int
    began: datetime
    parent: int | None = None
    branch: int = 0
    """Position in the log at which it left its parent."""


@dataclass(frozen=True)
class Base:
    """A base backup."""

    name: str
    stretch: int
    ended: datetime
    """From this moment on it can be restored."""
    start: int
    """Position in the log from which it needs the log."""
    stop: int
    """Position in the log at which it is consistent."""
    size: int
    """Bytes of its files."""


@dataclass(frozen=True)
class Route:
    """From a base backup through stretches, the oldest first, to the one that holds the moment."""

    base: Base
    stretches: tuple[Stretch, ...]

    @property
    def target(self) -> Stretch:
        return self.stretches[-1]


def choose(
    stretches: Sequence[Stretch], bases: Sequence[Base], time: datetime | None = None, name: str | None = None
) -> Route:
    """The way to `time` (None: to the end of the log) from the latest backup before it, or from the named one.

    Raises CannotRestore.
    """
    if not bases:
        raise CannotRestore("there is no backup: `make backup` makes one")
    wanted = [base for base in bases if name in (None, base.name)]
    if not wanted:
        raise CannotRestore(f"no backup is named {name}; there are {', '.join(base.name for base in bases)}")
    newest_first = sorted(stretches, key=lambda stretch: stretch.number, reverse=True)
    if time is not None:
        newest_first = [stretch for stretch in newest_first if stretch.began <= time][:1]
    for target in newest_first:
        usable = [base for base in _usable(stretches, wanted, target) if time is None or base.ended <= time]
        if usable:
            base = max(usable, key=lambda base: base.stop)
            return Route(base, tuple(_since(_lineage(stretches, target), base.stretch)))
    earliest = min(base.ended for base in wanted)
    of = "that backup" if name else "the backups"
    if time is None:
        raise CannotRestore(f"the log that goes with {of} is gone")
    if time < earliest:
        raise CannotRestore(f"{said(time)} is before {of}: the earliest moment is {said(earliest)}")
    raise CannotRestore(f"no log leads from {of} to {said(time)}: the archive was interrupted or begun anew before")


def needed_from(stretches: Sequence[Stretch], kept: Iterable[Base]) -> dict[int, int | None]:
    """For each stretch the position from which a kept backup needs it; None where no backup does."""
    bases = list(kept)
    found: dict[int, int | None] = {}
    for stretch in stretches:
        usable = _usable(stretches, bases, stretch)
        found[stretch.number] = min((base.start for base in usable), default=None)
    # What descends from a stretch needs it as well.
    for stretch in stretches:
        for base in _usable(stretches, bases, stretch):
            for passed in _since(_lineage(stretches, stretch), base.stretch):
                present = found[passed.number]
                found[passed.number] = base.start if present is None else min(present, base.start)
    return found


def said(moment: datetime) -> str:
    """A moment as the commands print and take it."""
    return moment.isoformat().replace("+00:00", "Z")


def position(text: str) -> int:
    """A position in the log, from PostgreSQL's `16/B374D848`."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def segment(position: int) -> int:
    """The number of the log file that holds a position."""
    return position // SEGMENT_BYTES


def segment_of(file_name: str) -> int:
    """The number of a log file, whatever its timeline: its name is timeline, high and low part, each of 8 digits."""
    return int(file_name[8:16], 16) * (2**32 // SEGMENT_BYTES) + int(file_name[16:24], 16)


def _lineage(stretches: Sequence[Stretch], youngest: Stretch) -> list[Stretch]:
    """The stretch and its ancestors, the oldest first."""
    by_number = {stretch.number: stretch for stretch in stretches}
    found = [youngest]
    while (parent := by_number.get(found[0].parent or -1)) is not None:
        found.insert(0, parent)
    return found


def _usable(stretches: Sequence[Stretch], bases: Iterable[Base], target: Stretch) -> list[Base]:
    """Backups from which the log leads into the stretch: its own, and those an ancestor made before the branch."""
    lineage = _lineage(stretches, target)
    limits: dict[int, int | None] = {target.number: None}
    for older, younger in pairwise(lineage):
        limits[older.number] = younger.branch
    return [
        base
        for base in bases
        if base.stretch in limits and ((limit := limits[base.stretch]) is None or base.stop <= limit)
    ]


def _since(lineage: list[Stretch], number: int) -> list[Stretch]:
    return lineage[[stretch.number for stretch in lineage].index(number) :]
