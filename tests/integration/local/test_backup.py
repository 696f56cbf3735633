"""Backups of a running database and its objects, and restores after it was destroyed: real servers, real archive."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import obstore
import pytest

from quire_local import archive, backup, launcher, lineage, objects, postgres, trees
from quire_local.archive import Archive
from quire_local.backup import BackupFailed
from quire_local.lineage import CannotRestore
from quire_local.ports import PortBook
from quire_local.process import Site
from quire_local.restore import Report, restore
from quire_local.servers import Servers
from quire_local.settings import Settings
from quire_local.state import State

pytestmark = pytest.mark.slow

SPECIFICATION = "tests.integration.local.standins:archived_database"
WORKSPACE = "ws_1"


class Stack:
    """A running catalog without services: documents are put in as the gateway does, the object before the row."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = Settings(home, None, s3=False)
        launcher.up(self.settings, SPECIFICATION)

    @property
    def archive(self) -> Archive:
        return Archive(archive.folder(self.home))

    @property
    def url(self) -> str:
        return postgres.admin_url(Site(self.settings, PortBook(self.home, given=State(self.home).ports())))

    def sql(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        async def ask() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url, database="quire")
            try:
                await connection.execute("SET search_path TO catalog")
                return await connection.fetch(statement, *arguments)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def now(self) -> datetime:
        found: datetime = self.sql("SELECT clock_timestamp() AS now")[0]["now"]
        return found

    def object(self, document: str) -> Path:
        return self.home / "objects" / WORKSPACE / document / "1" / "content"

    def upload(self, document: str) -> None:
        self.object(document).parent.mkdir(parents=True)
        self.object(document).write_text(f"content of {document}")
        self.sql(
            "INSERT INTO document (id, workspace_id, title, filename, media_type, size, sha256, content_key,"
            " created_at, updated_at) VALUES ($1, $2, '', '', 'text/plain', 1, $1, $3, now(), now())",
            document, WORKSPACE, f"{WORKSPACE}/{document}/1/content",
        )  # fmt: skip

    def delete(self, document: str) -> None:
        self.sql("UPDATE document SET deleted_at = now() WHERE id = $1", document)
        shutil.rmtree(self.object(document).parents[1])

    def documents(self) -> set[str]:
        return {row["id"] for row in self.sql("SELECT id FROM document WHERE deleted_at IS NULL")}

    def stored(self) -> dict[str, str]:
        return {path.parts[-3]: path.read_text() for path in (self.home / "objects").glob("*/*/1/content")}

    def restore(self, time: datetime | None = None, name: str | None = None) -> Report:
        return restore(self.settings, time, name, SPECIFICATION)

    def destroy(self) -> None:
        """Everything is killed at once, and the database and the objects are deleted."""
        for process in trees.left_behind(self.home):
            if "quire_local.daemon" in " ".join(process.cmdline()):
                process.kill()
        found = [record.identity.process() for record in trees.read_records(self.home)]
        servers = [process for process in found if process is not None]
        trees.kill([*servers, *(child for process in servers for child in trees.descendants(process.pid))], 5)
        shutil.rmtree(postgres.data(self.home))
        shutil.rmtree(self.home / "objects")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path / "a home")
    made.sql("INSERT INTO workspace (id, name) VALUES ($1, '')", WORKSPACE)
    yield made
    launcher.down(made.home)
    assert trees.left_behind(made.home) == []


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.timeout(300)
def test_a_destroyed_catalog_comes_back_as_it_was_at_any_moment_and_at_its_end(stack: Stack) -> None:
    stack.upload("a")
    made = backup.take(stack.settings)
    assert made["documents"] == 1
    assert made["objects"] == 1
    stack.upload("b")
    with_a_and_b = stack.now()
    wait_until(lambda: (stack.archive.objects / WORKSPACE / "b").exists())
    stack.delete("a")
    stack.upload("c")
    wait_until(lambda: (stack.archive.objects / WORKSPACE / "c").exists())
    with_b_and_c = stack.now()

    acknowledged, writer = write_until_killed(stack)
    wait_until(lambda: len(acknowledged) > 200)
    stack.destroy()
    killed = time.monotonic()
    writer.join()

    to_the_end = stack.restore()
    present = {int(row["name"]) for row in stack.sql("SELECT name FROM workspace WHERE id LIKE 'w%' AND name <> ''")}
    lost = [at for number, at in acknowledged.items() if number not in present]
    assert all(killed - at < 1.0 for at in lost)
    print(f"{len(lost)} of {len(acknowledged)} commits lost, {max((killed - at for at in lost), default=0):.3f} s")
    assert stack.documents() == {"b", "c"}
    assert stack.stored() == {"b": "content of b", "c": "content of c"}
    assert to_the_end.put_back == 2
    assert not to_the_end.without_content
    assert not to_the_end.short

    # What is undone moves aside, and messages with it.
    (stack.home / "rabbitmq" / "mnesia").mkdir(parents=True)
    back = stack.restore(with_a_and_b)
    assert stack.documents() == {"a", "b"}
    assert stack.stored()["a"] == "content of a"
    assert back.reached <= with_a_and_b
    assert sorted(path.name for path in back.aside.iterdir()) == ["postgres-data", "rabbitmq-mnesia"]
    assert not stack.sql("SELECT name FROM workspace WHERE id LIKE 'w%' AND name <> ''")

    # The archiving goes on at once, from the database that was restored. Nothing is committed after the time that is
    # asked for: the end of the log is that moment.
    stack.upload("d")
    later = stack.now()
    wait_until(lambda: datetime.now(UTC) > later)
    assert stack.restore(later).short
    assert stack.documents() == {"a", "b", "d"}

    # A moment before the first restore is the one that people saw then, not one of the log that came of the restore.
    stack.restore(with_b_and_c)
    assert stack.documents() == {"b", "c"}


def write_until_killed(stack: Stack) -> tuple[dict[int, float], threading.Thread]:
    """Rows by number with the moment at which their commit was acknowledged."""
    acknowledged: dict[int, float] = {}

    async def write() -> None:
        connection = await asyncpg.connect(stack.url, database="quire")
        try:
            for number in range(100_000):
                await connection.execute("INSERT INTO catalog.workspace VALUES ($1, $2)", f"w{number}", str(number))
                acknowledged[number] = time.monotonic()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):  # it was killed
            return

    thread = threading.Thread(target=lambda: asyncio.run(write()))
    thread.start()
    return acknowledged, thread


@pytest.mark.timeout(300)
def test_what_cannot_succeed_is_refused_and_changes_nothing(stack: Stack) -> None:
    with pytest.raises(CannotRestore, match="there is no backup in"):
        stack.restore()
    first = backup.take(stack.settings)["name"]
    stack.upload("a")
    second = backup.take(stack.settings)["name"]
    running = launcher.ask(stack.home, {"do": "status"})["supervisor"]

    with pytest.raises(CannotRestore, match="is in the future"):
        stack.restore(datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(CannotRestore, match="the earliest moment is"):
        stack.restore(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(CannotRestore, match=f"no backup is named x; there are {first}, {second}"):
        stack.restore(name="x")
    with backup.alone(stack.archive.root), pytest.raises(BackupFailed, match="another backup or restore"):
        stack.restore()

    damaged = stack.archive.base_folder(second) / "data" / "global" / "1262"
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[:100] + bytes([sound[100] ^ 1]) + sound[101:])
    with pytest.raises(CannotRestore, match=rf"{second} is damaged: (?s:.*)`BACKUP=` takes another: {first}"):
        stack.restore()
    damaged.write_bytes(sound)
    assert launcher.ask(stack.home, {"do": "status"})["supervisor"] == running

    for _ in range(3):
        stack.sql("CREATE TABLE IF NOT EXISTS filler (x int)")
        stack.sql("INSERT INTO filler VALUES (1)")
        stack.sql("SELECT pg_switch_wal()")
    current = stack.archive.current()
    assert current is not None
    wait_until(lambda: len(complete(stack, current)) >= 3)
    damaged = complete(stack, current)[-2]
    sound = damaged.read_bytes()

    damaged.rename(damaged.with_suffix(".away"))
    with pytest.raises(CannotRestore, match=r"has a gap: .*; a TIME before .* can be restored"):
        stack.restore()
    assert launcher.ask(stack.home, {"do": "status"})["supervisor"] == running

    # This one is found only by replaying; the stack is then started again as it was.
    damaged.with_suffix(".away").rename(damaged)
    damaged.write_bytes(bytes(len(sound)))
    with pytest.raises(CannotRestore, match="the archived log is damaged after"):
        stack.restore()
    assert stack.documents() == {"a"}
    assert not (stack.home / "before").exists()
    assert not (stack.home / "postgres" / "restoring").exists()

    # Where the database is gone, an empty one must not take its place.
    launcher.down(stack.home)
    postgres.data(stack.home).rename(stack.home / "gone")
    with pytest.raises(launcher.UpFailed, match="`make restore` brings it back"):
        launcher.up(stack.settings, SPECIFICATION)
    assert not postgres.exists(stack.home)
    (stack.home / "gone").rename(postgres.data(stack.home))


def complete(stack: Stack, stretch: lineage.Stretch) -> list[Path]:
    return [path for path in stack.archive.log_files(stretch) if not path.suffix]


@pytest.mark.timeout(300)
def test_another_machine_restores_from_a_folder_elsewhere_and_old_backups_leave_with_their_log(
    stack: Stack, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "another disk"
    settings = Settings(stack.home, None, s3=False, backup_dir=elsewhere, backups_kept=2)
    stack.upload("a")
    names = [backup.take(settings)["name"]]
    stack.delete("a")
    stack.upload("b")
    names.append(backup.take(settings)["name"])
    assert (elsewhere / "objects" / WORKSPACE / "a").exists()
    names.append(backup.take(settings)["name"])
    held = Archive(elsewhere)
    assert [base.name for base in held.bases()] == names[1:]
    stretch = held.current()
    assert stretch is not None
    first_needed = lineage.segment(held.bases()[0].start)
    assert lineage.segment_of(held.log_files(stretch)[0].name) == first_needed
    assert (elsewhere / "objects" / WORKSPACE / "a").exists()  # It was deleted before the second, not the first.
    names.append(backup.take(settings)["name"])
    assert not (elsewhere / "objects" / WORKSPACE / "a").exists()
    assert (elsewhere / "objects" / WORKSPACE / "b").exists()

    with pytest.raises(archive.WrongPlace, match="to move them, stop the stack"):
        backup.take(Settings(stack.home, None, s3=False, backup_dir=tmp_path / "third"))

    launcher.down(stack.home)
    new_home = tmp_path / "new home"
    fresh = Settings(new_home, None, s3=False, backup_dir=elsewhere)
    try:
        restore(fresh, specification=SPECIFICATION)
        moved = Stack(new_home)
        assert moved.documents() == {"b"}
        assert moved.stored() == {"b": "content of b"}
        assert backup.take(moved.settings)["name"] in {base.name for base in Archive(elsewhere).bases()}
    finally:
        launcher.down(new_home)


def test_objects_in_a_bucket_are_copied_and_put_back_all_the_same(tmp_path: Path) -> None:
    pool, source = tmp_path / "pool", tmp_path / "content"
    source.write_text("a content")
    with Servers(tmp_path / "home", {"s3"}):
        site = Site(
            Settings(tmp_path / "home", None, s3=True), PortBook(tmp_path, given=State(tmp_path / "home").ports())
        )
        bucket = objects.Bucket(site)
        for document in ("a", "b"):
            bucket.put(source, f"{WORKSPACE}/{document}/1/content")
        assert objects.mirror(bucket, pool).copied == 2
        assert objects.mirror(bucket, pool).copied == 0
        assert (pool / WORKSPACE / "a" / "1" / "content").read_text() == "a content"
        assert list(bucket.find(since=time.time() + 60)) == []

        obstore.delete(bucket.store, [f"{WORKSPACE}/a/1/content", f"{WORKSPACE}/b/1/content"])
        assert objects.gone(bucket, pool) == [f"{WORKSPACE}/a/1/content", f"{WORKSPACE}/b/1/content"]
        assert objects.put_back(bucket, pool, [f"{WORKSPACE}/a"]).copied == 1
        assert [found.key for found in bucket.find()] == [f"{WORKSPACE}/a/1/content"]
