"""The objects of a store and their copies in the pool of the backups, where each lies under its key.

An object never changes in place (a new content is a new file that takes the name), so that a hard link is a copy where
store and pool share a file system: it costs no space and outlives a delete, though not the disk.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from quire_local import seaweedfs
from quire_local.process import Site
from quire_local.state import secret


@dataclass(frozen=True)
class Found:
    """An object in the store."""

    key: str
    size: int
    changed_ns: int
    """When it was written, nanoseconds since the epoch."""


class Objects(Protocol):
    """A store as backups need it."""

    def find(self, since: float | None = None) -> Iterator[Found]:
        """Every object; with `since` (seconds since the epoch) those of documents that got a revision after it."""

    def fetch(self, found: Found, target: Path) -> bool:
        """Copy an object to a file; returns whether it became a link. Raises FileNotFoundError."""

    def put(self, source: Path, key: str) -> None:
        """Store a file under the key."""


@dataclass
class Copied:
    """What a pass over a store did."""

    seen: int = 0
    seen_bytes: int = 0
    copied: int = 0
    copied_bytes: int = 0
    linked: int = 0


class Folder:
    """Objects in a local folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, since: float | None = None) -> Iterator[Found]:
        for workspace in _folders(self._root):
            for document in _folders(workspace):
                if since is None or document.stat().st_mtime >= since:
                    yield from self._below(document)

    def fetch(self, found: Found, target: Path) -> bool:
        source, draft = self._root / found.key, target.with_name(f"{target.name}#0")
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        try:
            draft.hardlink_to(source)
            linked = True
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one that has no links
            _copy(source, draft)
            linked = False
        draft.replace(target)
        return linked

    def put(self, source: Path, key: str) -> None:
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}#0")
        _copy(source, draft)
        draft.replace(target)

    def _below(self, folder: Path) -> Iterator[Found]:
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:  # deleted meanwhile
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(Path(entry.path))
            elif "#" not in entry.name:  # A name with # is a file that is not complete yet, ours or the store's.
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                yield Found(os.path.relpath(entry.path, self._root), status.st_size, status.st_mtime_ns)


class Bucket:
    """Objects in the stack's S3 server, which has to be running."""

    def __init__(self, site: Site) -> None:
        from obstore.store import S3Store

        self.store = S3Store(
            seaweedfs.BUCKET,
            endpoint=seaweedfs.url(site),
            access_key_id=seaweedfs.ACCESS_KEY_ID,
            secret_access_key=secret(site.home, seaweedfs.NAME),
            region=seaweedfs.REGION,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )

    def find(self, since: float | None = None) -> Iterator[Found]:
        import obstore

        for page in obstore.list(self.store):
            for entry in page:
                written: Any = entry["last_modified"]
                if since is None or written.timestamp() >= since:
                    yield Found(entry["path"], entry["size"], int(written.timestamp()) * 10**9)

    def fetch(self, found: Found, target: Path) -> bool:
        import obstore

        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}#0")
        with draft.open("wb") as file:
            for piece in obstore.get(self.store, found.key).stream():
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.utime(draft, ns=(found.changed_ns, found.changed_ns))
        draft.replace(target)
        return False

    def put(self, source: Path, key: str) -> None:
        import obstore

        obstore.put(self.store, key, source)


def of(site: Site) -> Objects:
    """The store of a stack."""
    return Bucket(site) if site.settings.s3 else Folder(site.home / "objects")


def mirror(store: Objects, pool: Path, since: float | None = None) -> Copied:
    """Bring into the pool what it lacks or has otherwise. Nothing leaves the pool."""
    done = Copied()
    for found in store.find(since):
        done.seen += 1
        done.seen_bytes += found.size
        target = pool / found.key
        try:
            if _is_copy(target, found):
                continue
            done.linked += store.fetch(found, target)
        except FileNotFoundError:  # deleted while we looked
            continue
        done.copied += 1
        done.copied_bytes += found.size
    return done


def put_back(store: Objects, pool: Path, documents: Iterable[str]) -> Copied:
    """Store again what the store lacks of these documents (`workspace/document`); what it has stays."""
    done = Copied()
    present = {found.key for found in store.find()}
    for document in documents:
        for found in Folder(pool)._below(pool / document):
            if found.key not in present:
                store.put(pool / found.key, found.key)
                done.copied += 1
                done.copied_bytes += found.size
    return done


def gone(store: Objects, pool: Path) -> list[str]:
    """Keys that the pool has and the store has no more."""
    present = {found.key for found in store.find()}
    return sorted(found.key for found in Folder(pool).find() if found.key not in present)


def forget(store: Objects, pool: Path, keys: Iterable[str]) -> int:
    """Remove from the pool what no kept backup can need; what came into the store again stays. Returns how many."""
    present = {found.key for found in store.find()}
    removed = 0
    for key in keys:
        path = pool / key
        if key not in present and path.exists():
            path.unlink()
            removed += 1
            for folder in path.relative_to(pool).parents:
                try:
                    (pool / folder).rmdir()
                except OSError:  # others are in it
                    break
    return removed


def _is_copy(target: Path, found: Found) -> bool:
    try:
        status = target.stat()
    except FileNotFoundError:
        return False
    return (status.st_size, status.st_mtime_ns) == (found.size, found.changed_ns)


def _copy(source: Path, target: Path) -> None:
    """A copy with the time of the original, on disk when this returns."""
    with source.open("rb") as read, target.open("wb") as written:
        shutil.copyfileobj(read, written, 1024 * 1024)
        written.flush()
        os.fsync(written.fileno())
    shutil.copystat(source, target)


def _folders(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
