"""Copies of objects in the pool of the backups, and their way back."""

import os
import time
from pathlib import Path

import pytest

from quire_local import objects
from quire_local.objects import Folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return tmp_path / "pool"


def write(folder: Path, key: str, text: str = "x") -> Path:
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name("draft#1")
    draft.write_text(text)
    draft.replace(path)
    return path


def keys(folder: Path) -> list[str]:
    return sorted(found.key for found in Folder(folder).find())


def test_only_what_is_missing_or_changed_is_copied_and_nothing_leaves(root: Path, pool: Path) -> None:
    write(root, "w/d/1/content")
    write(root, "w/d/1/previews/1.webp", "one")
    assert objects.mirror(Folder(root), pool).copied == 2
    assert objects.mirror(Folder(root), pool).copied == 0
    write(root, "w/d/1/previews/1.webp", "another")
    (root / "w/d/1/content").unlink()
    assert objects.mirror(Folder(root), pool).copied == 1
    assert (pool / "w/d/1/previews/1.webp").read_text() == "another"
    assert keys(pool) == ["w/d/1/content", "w/d/1/previews/1.webp"]


def test_an_object_that_is_written_again_leaves_the_copy_as_it_was(root: Path, pool: Path) -> None:
    write(root, "w/d/1/content", "first")
    assert objects.mirror(Folder(root), pool).linked == 1
    write(root, "w/d/1/content", "second")
    assert (pool / "w/d/1/content").read_text() == "first"


def test_where_links_are_impossible_it_is_copied(root: Path, pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write(root, "w/d/1/content", "text")
    done = objects.mirror(Folder(root), pool)
    assert (done.copied, done.linked, done.copied_bytes) == (1, 0, 4)
    assert (pool / "w/d/1/content").stat().st_ino != (root / "w/d/1/content").stat().st_ino
    assert objects.mirror(Folder(root), pool).copied == 0


def test_an_upload_that_is_not_complete_is_no_object(root: Path, pool: Path) -> None:
    write(root, "w/d/1/content")
    (root / "w/d/1/content#3").write_text("half")
    assert objects.mirror(Folder(root), pool).copied == 1
    assert [path.name for path in pool.rglob("*") if path.is_file()] == ["content"]


def test_a_quick_look_sees_the_documents_that_got_a_revision_lately(root: Path) -> None:
    write(root, "w/old/1/content")
    write(root, "w/new/1/content")
    os.utime(root / "w/old", (0, 0))
    since = time.time() - 60
    assert [found.key for found in Folder(root).find(since)] == ["w/new/1/content"]
    write(root, "w/old/2/content")
    assert {found.key for found in Folder(root).find(since)} >= {"w/old/2/content"}


def test_only_the_named_documents_come_back_and_what_is_there_stays(root: Path, pool: Path) -> None:
    for document in ("a", "b"):
        write(root, f"w/{document}/1/content")
        write(root, f"w/{document}/1/text")
    objects.mirror(Folder(root), pool)
    for document in ("a", "b"):
        (root / f"w/{document}/1/content").unlink()
    write(root, "w/a/1/text", "newer")
    assert objects.put_back(Folder(root), pool, ["w/a", "w/unknown"]).copied == 1
    assert keys(root) == ["w/a/1/content", "w/a/1/text", "w/b/1/text"]
    assert (root / "w/a/1/text").read_text() == "newer"


def test_what_was_gone_is_forgotten_unless_it_came_again(root: Path, pool: Path) -> None:
    for document in ("a", "b", "c"):
        write(root, f"w/{document}/1/content")
    objects.mirror(Folder(root), pool)
    (root / "w/a/1/content").unlink()
    (root / "w/b/1/content").unlink()
    was_gone = objects.gone(Folder(root), pool)
    assert was_gone == ["w/a/1/content", "w/b/1/content"]
    write(root, "w/b/1/content")
    assert objects.forget(Folder(root), pool, was_gone) == 1
    assert keys(pool) == ["w/b/1/content", "w/c/1/content"]
    assert not (pool / "w/a").exists()


def test_a_store_that_is_not_there_yet_is_empty(tmp_path: Path, pool: Path) -> None:
    assert objects.mirror(Folder(tmp_path / "none"), pool) == objects.Copied()
    assert objects.gone(Folder(tmp_path / "none"), pool) == []
