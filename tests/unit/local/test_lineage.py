"""Which backup and which log lead to a moment, over restores and torn logs."""

from datetime import UTC, datetime

import pytest

from quire_local.lineage import (
    SEGMENT_BYTES,
    Base,
    CannotRestore,
    Stretch,
    choose,
    needed_from,
    position,
    segment,
    segment_of,
)


def at(hour: int) -> datetime:
    return datetime(2026, 11, 22, hour, tzinfo=UTC)


def stretch(number: int, began: int, parent: int | None = None, branch: int = 0) -> Stretch:
    return Stretch(number, "system", number, at(began), parent, branch * SEGMENT_BYTES)


def base(name: str, in_stretch: int, ended: int, first: int, last: int) -> Base:
    return Base(name, in_stretch, at(ended), first * SEGMENT_BYTES, last * SEGMENT_BYTES, 1)


# Written from 1 o'clock; at 12 restored to what it was at 7 (segment 70), and at 18 to the end of that.
STRETCHES = [stretch(1, 1), stretch(2, 12, parent=1, branch=70), stretch(3, 18, parent=2, branch=150)]
BASES = [base("early", 1, 2, 20, 21), base("late", 1, 10, 100, 101), base("after", 2, 14, 80, 81)]


@pytest.mark.parametrize(
    ("time", "chosen", "through"),
    [
        (3, "early", [1]),
        (11, "late", [1]),  # undone by the restore at 12, and still there
        (13, "early", [1, 2]),  # the later backup was made after the branch
        (15, "after", [2]),
        (19, "after", [2, 3]),
        (None, "after", [2, 3]),
    ],
)
def test_a_moment_is_reached_by_the_log_that_was_written_at_that_moment(
    time: int | None, chosen: str, through: list[int]
) -> None:
    route = choose(STRETCHES, BASES, None if time is None else at(time))
    assert route.base.name == chosen
    assert [passed.number for passed in route.stretches] == through


def test_a_named_backup_is_taken_though_a_later_one_would_do() -> None:
    route = choose(STRETCHES, BASES, at(11), "early")
    assert (route.base.name, route.target.number) == ("early", 1)


def test_to_the_end_of_a_named_backup_is_the_end_of_the_newest_log_that_it_leads_to() -> None:
    assert choose(STRETCHES, BASES, name="late").target.number == 1
    assert choose(STRETCHES, BASES, name="early").target.number == 3


@pytest.mark.parametrize(
    ("bases", "time", "name", "reason"),
    [
        ([], None, None, "there is no backup"),
        (BASES, at(1), None, "2026-11-22T01:00:00Z is before the backups: the earliest moment is 2026-11-22T02:00:00Z"),
        (BASES, at(9), "late", "before that backup: the earliest moment is 2026-11-22T10:00:00Z"),
        (BASES, None, "other", "no backup is named other; there are early, late, after"),
        (BASES[1:2], at(13), None, "no log leads from the backups to 2026-11-22T13:00:00Z"),
    ],
)
def test_what_cannot_be_reached_is_refused_with_what_can(
    bases: list[Base], time: datetime | None, name: str | None, reason: str
) -> None:
    with pytest.raises(CannotRestore, match=reason):
        choose(STRETCHES, bases, time, name)


def test_a_torn_log_is_not_bridged() -> None:
    torn = [stretch(1, 1), stretch(2, 12)]
    assert choose(torn, BASES[:2]).target.number == 1
    with pytest.raises(CannotRestore, match="the archive was interrupted or begun anew before"):
        choose(torn, BASES[:2], at(13))


def test_the_log_is_needed_from_the_oldest_kept_backup_of_which_the_stretch_descends() -> None:
    def segments(kept: list[Base]) -> dict[int, int | None]:
        needed = needed_from(STRETCHES, kept)
        return {number: None if start is None else segment(start) for number, start in needed.items()}

    assert segments(BASES) == {1: 20, 2: 20, 3: 20}
    assert segments(BASES[1:]) == {1: 100, 2: 80, 3: 80}
    assert segments(BASES[2:]) == {1: None, 2: 80, 3: 80}
    assert segments([]) == {1: None, 2: None, 3: None}


def test_positions_and_file_names_are_postgresqls() -> None:
    assert position("16/B374D848") == 0x16B374D848
    assert segment(position("16/B374D848")) == segment_of("000000030000001600000" + "0B3") == 0x16B3
    assert segment_of("00000001000000000000000A") == 10
