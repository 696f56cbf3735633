"""Object storage on obstore: one interface for a local folder and for S3.

What `put` and `upload` return for is durable: on S3 by its contract, in a local folder because the file and its entry
in the folder are flushed to disk.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import LocalStore, S3Store

from .errors import StartupError
from .multipart import MultipartUploads
from .settings import ServiceSettings

STREAM_BYTES = 1024 * 1024
"""Size of the pieces in which an object is read, in bytes."""


STAGED = re.compile(r".#\d+$")
"""How a file is called in a local folder while its upload is under way."""


class ObjectNotFound(Exception):
    """There is no object under the key."""


@dataclass(frozen=True)
class Entry:
    """An object, without its content."""

    key: str
    size: int
    modified: datetime


class Unfinished(Protocol):
    """What a killed upload leaves in a backend, where no listing of objects shows it."""

    async def discard(self, before: datetime) -> int:
        """Delete what was begun before a moment; returns how many uploads that were."""
        ...


class Store:
    """Objects under keys: slash-separated words. Methods raise `ObjectNotFound`, or obstore's error of the backend."""

    def __init__(self, backend: LocalStore | S3Store, unfinished: Unfinished, folder: Path | None = None) -> None:
        self._backend = backend
        self._unfinished = unfinished
        self._folder = folder

    async def put(self, key: str, data: bytes) -> None:
        """Write a small object whole; an existing one is replaced atomically."""
        await obstore.put_async(self._backend, key, data, use_multipart=False)
        await self._flush(key)

    async def upload(self, key: str, content: AsyncIterable[bytes]) -> None:
        """Write an object from a stream, in bounded memory. If the stream raises, nothing is left under the key."""
        await obstore.put_async(self._backend, key, content, max_concurrency=2)
        await self._flush(key)

    async def get(self, key: str) -> bytes:
        """A whole object; for small ones."""
        try:
            found = await obstore.get_async(self._backend, key)
            return bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError):
            raise ObjectNotFound(key) from None

    async def size(self, key: str) -> int:
        """Length of an object in bytes."""
        try:
            return int((await obstore.head_async(self._backend, key))["size"])
        except (NotFoundError, FileNotFoundError):
            raise ObjectNotFound(key) from None

    async def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        try:
            await self.size(key)
        except ObjectNotFound:
            return False
        return True

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to but not including `end`, in pieces of about 1 MiB."""
        if end is not None and end <= start:
            return
        options: Any = {"range": (start, end)} if end is not None else {"range": {"offset": start}} if start else {}
        try:
            found = await obstore.get_async(self._backend, key, options=options)
        except (NotFoundError, FileNotFoundError):
            raise ObjectNotFound(key) from None
        async for piece in found.stream(min_chunk_size=STREAM_BYTES):
            yield bytes(piece)

    async def download(self, key: str, path: Path) -> None:
        """Write an object into a new file; a long one in pieces."""
        try:
            found = await obstore.get_async(self._backend, key)
        except (NotFoundError, FileNotFoundError):
            raise ObjectNotFound(key) from None
        with path.open("wb") as file:
            if found.meta["size"] <= STREAM_BYTES:  # one call costs a third less than a stream
                file.write(await found.bytes_async())
            else:
                async for piece in found.stream(min_chunk_size=STREAM_BYTES):
                    file.write(piece)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """The keys below a prefix that ends with a slash."""
        async for entry in self.entries(prefix):
            yield entry.key

    async def entries(self, prefix: str) -> AsyncIterator[Entry]:
        """The objects below a prefix that ends with a slash, or all of them where it is empty; in no certain order."""
        async for page in obstore.list(self._backend, prefix.rstrip("/") or None, chunk_size=500):
            for entry in page:
                yield Entry(entry["path"], entry["size"], entry["last_modified"])

    async def discard_unfinished(self, before: datetime) -> int:
        """Delete what uploads left that were begun before a moment and never ended; returns how many those were."""
        return await self._unfinished.discard(before)

    async def delete_prefix(self, prefix: str) -> int:
        """Delete everything below a prefix that ends with a slash; returns how many objects there were."""
        keys = [key async for key in self.list(prefix)]
        if keys:
            try:
                await obstore.delete_async(self._backend, keys)
            except (NotFoundError, FileNotFoundError):  # somebody else deletes the same prefix
                for key in keys:
                    await self.delete(key)
        return len(keys)

    async def delete(self, key: str) -> None:
        """Delete one object; nothing happens where there is none."""
        try:
            await obstore.delete_async(self._backend, key)
        except (NotFoundError, FileNotFoundError):
            return

    async def _flush(self, key: str) -> None:
        if self._folder is not None:
            await asyncio.to_thread(_flush_to_disk, self._folder, key)


def _flush_to_disk(folder: Path, key: str) -> None:
    """The file, and every folder on the way to it: any of them may be new."""
    path = folder / key
    ancestors = [parent for parent in path.parents if parent == folder or folder in parent.parents]
    for target in (path, *ancestors):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _StagedFiles:
    """Files of uploads into a local folder whose process was killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def discard(self, before: datetime) -> int:
        return await asyncio.to_thread(self._discard, before.timestamp())

    def _discard(self, before: float) -> int:
        gone = 0
        for parent, _, names in os.walk(self._folder):
            for name in filter(STAGED.search, names):
                path = Path(parent, name)
                try:
                    if path.stat().st_mtime < before:
                        path.unlink()
                        gone += 1
                except FileNotFoundError:  # its upload ended just now
                    continue
        return gone


def open_store(settings: ServiceSettings) -> Store:
    """The store that `store_url` names: `file:///folder` or `s3://bucket/prefix`.

    Raises `StartupError` where the URL is of no known kind or the folder cannot be made.
    """
    url = urlsplit(settings.store_url)
    if url.scheme == "file" and url.path:
        folder = Path(url.path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartupError(f"QUIRE_STORE_URL={settings.store_url}: the folder cannot be made: {error}") from error
        return Store(LocalStore(folder, automatic_cleanup=True), _StagedFiles(folder), folder)
    if url.scheme == "s3" and url.netloc:
        secret = settings.s3_secret_access_key
        options: dict[str, Any] = {"region": settings.s3_region}
        if settings.s3_endpoint:
            options |= {"endpoint": settings.s3_endpoint, "virtual_hosted_style_request": False}
        if settings.s3_access_key_id and secret:
            options |= {"access_key_id": settings.s3_access_key_id, "secret_access_key": secret.get_secret_value()}
        plain = (settings.s3_endpoint or "").startswith("http://")
        prefix = url.path.strip("/")
        backend = S3Store(url.netloc, prefix=prefix or None, client_options={"allow_http": plain}, **options)
        return Store(backend, MultipartUploads(url.netloc, f"{prefix}/" if prefix else "", settings))
    raise StartupError(
        f"QUIRE_STORE_URL={settings.store_url!r} is neither file:///folder nor s3://bucket: set one of the two"
    )
