"""The folder of backups: gaps in the log, what is removed, when a base backup is due."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quire_local import archive, keeper, safekeeping, settings
from quire_local.archive import Archive, WrongPlace
from quire_local.lineage import SEGMENT_BYTES, CannotRestore, Stretch, choose

NOW = datetime.now(UTC)


def begun(folder: Archive, timeline: int = 1, parent: int | None = None, branch: int = 0) -> Stretch:
    return folder.begin(Stretch(0, "system", timeline, NOW, parent, branch * SEGMENT_BYTES))


def log_file(folder: Archive, stretch: Stretch, number: int, suffix: str = "", age_s: float = 0) -> Path:
    path = folder.log_folder(stretch) / f"{stretch.timeline:08X}{0:08X}{number:08X}{suffix}"
    path.write_bytes(b"x")
    os.utime(path, (NOW.timestamp() - age_s,) * 2)
    return path


def base(folder: Archive, name: str, stretch: Stretch, number: int, ended: datetime = NOW, size: int = 1) -> None:
    path = folder.base_folder(name)
    path.mkdir(parents=True)
    at = f"0/{number * SEGMENT_BYTES + 40:X}"
    content = {"stretch": stretch.number, "ended": ended.isoformat(), "wal_start": at, "wal_stop": at}
    (path / "manifest.json").write_text(json.dumps({**content, "database_bytes": size}))


def test_the_log_of_a_route_takes_the_complete_one_of_two_files_and_every_history(tmp_path: Path) -> None:
    folder = Archive(tmp_path)
    first = begun(folder)
    base(folder, "only", first, 1)
    unfinished, complete = log_file(folder, first, 2, ".partial"), log_file(folder, first, 2)
    newest = log_file(folder, first, 3, ".partial")
    history = tmp_path / "00000002.history"
    history.write_text("1\t0/3000000\tbefore\n")
    folder.begin(Stretch(0, "system", 2, NOW, 1, 3 * SEGMENT_BYTES), [history])

    found = folder.log_for(choose(folder.stretches(), folder.bases(), NOW, "only"), None)

    assert unfinished.exists()
    assert found[complete.name] == complete
    assert found[newest.name.removesuffix(".partial")] == newest
    assert found["00000002.history"].parent.name == "0002"


def test_a_gap_is_refused_unless_the_moment_lies_before_it(tmp_path: Path) -> None:
    folder = Archive(tmp_path)
    stretch = begun(folder)
    base(folder, "only", stretch, 1, NOW - timedelta(hours=2))
    log_file(folder, stretch, 2, age_s=3600)
    log_file(folder, stretch, 4)
    route = choose(folder.stretches(), folder.bases())
    with pytest.raises(CannotRestore, match=r"\?{8}0{15}3 is missing; a TIME before .* can be restored"):
        folder.log_for(route, None)
    with pytest.raises(CannotRestore, match="gap"):
        folder.log_for(route, NOW)
    assert len(folder.log_for(route, NOW - timedelta(seconds=3700))) == 2


def test_a_crash_between_two_stretches_takes_no_number_twice(tmp_path: Path) -> None:
    folder = Archive(tmp_path)
    begun(folder)
    (tmp_path / "wal" / "0002").mkdir()
    assert begun(folder).number == 3
    current = folder.current()
    assert current is not None
    assert current.number == 3


def test_old_backups_leave_with_the_stretches_and_the_log_that_only_they_need(tmp_path: Path) -> None:
    folder = Archive(tmp_path)
    folder.keep(1)
    first = begun(folder)
    base(folder, "old", first, 1, NOW - timedelta(hours=2))
    log_file(folder, first, 2)
    second = begun(folder, 2, parent=1, branch=2)
    base(folder, "new", second, 5)
    unneeded, needed = log_file(folder, second, 4), log_file(folder, second, 5, ".partial")

    assert folder.prune() == ["old"]

    assert [kept.name for kept in folder.bases()] == ["new"]
    assert not folder.log_folder(first).exists()
    assert not unneeded.exists()
    assert needed.exists()


def test_the_stretch_that_is_written_stays_though_no_backup_needs_it_yet(tmp_path: Path) -> None:
    folder = Archive(tmp_path)
    stretch = begun(folder)
    written = log_file(folder, stretch, 1, ".partial")
    assert folder.prune() == []
    assert written.exists()


@pytest.mark.parametrize(
    ("age", "size", "log_files", "due"),
    [
        (timedelta(hours=1), 1, 3, False),
        (timedelta(hours=25), 1, 3, True),
        (timedelta(hours=25), 1, 0, False),
        (timedelta(hours=1), 1, 80, True),
        (timedelta(hours=1), 2 * 1024**3, 80, False),
    ],
)
def test_a_base_backup_is_due_by_age_or_by_log(
    tmp_path: Path, age: timedelta, size: int, log_files: int, due: bool
) -> None:
    folder = Archive(tmp_path)
    assert not keeper.is_due(folder)
    stretch = begun(folder)
    base(folder, "newest", stretch, 1, NOW - age, size)
    for number in range(log_files):
        os.truncate(log_file(folder, stretch, 2 + number), SEGMENT_BYTES)  # sparse
    assert keeper.is_due(folder) is due


def test_backups_stay_where_they_are_until_somebody_moves_them(tmp_path: Path) -> None:
    home, first, second = tmp_path / "home", tmp_path / "first", tmp_path / "second"
    home.mkdir()
    assert not archive.enabled(home)
    assert archive.place(home, None) == home / "backups"
    archive.connect(home, archive.place(home, first))
    assert archive.enabled(home)
    assert archive.folder(home).resolve() == first
    assert archive.place(home, first) == first
    with pytest.raises(WrongPlace, match=f"are in {first}, not in {second}"):
        archive.place(home, second)
    first.rmdir()
    assert archive.enabled(home), "a disk that is away must not end the archiving unseen"


def test_a_moment_has_a_zone() -> None:
    assert safekeeping.moment("2026-11-22T10:00:00Z") == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert safekeeping.moment("2026-11-22T12:00:00.5+02:00") == datetime(2026, 11, 22, 10, 0, 0, 500_000, UTC)
    for wrong in ("2026-11-22T10:00:00", "yesterday", ""):
        with pytest.raises(Exception, match="is not a time with its zone"):
            safekeeping.moment(wrong)


def test_the_settings_of_backups_come_from_the_environment(tmp_path: Path) -> None:
    found = settings.load({"QUIRE_BACKUP_DIR": str(tmp_path), "QUIRE_BACKUP_KEEP": "5"})
    assert (found.backup_dir, found.backups_kept) == (tmp_path, 5)
    assert (settings.load({}).backup_dir, settings.load({}).backups_kept) == (None, None)
    for wrong in ("0", "-1", "many"):
        with pytest.raises(settings.SettingsError, match="QUIRE_BACKUP_KEEP"):
            settings.load({"QUIRE_BACKUP_KEEP": wrong})
