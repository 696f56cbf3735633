"""The client: every call of the API as a method."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

from . import settings
from .admin import BULK_TIMEOUT_S, Admin
from .body import Body, Content, Progress, Source
from .download import download
from .errors import QuireError
from .events import follow
from .following import Following, OnChange
from .models import (
    Document,
    Event,
    Mode,
    Retried,
    SearchResults,
    Timeline,
    TimelineEntry,
    UploadedDocument,
)
from .transport import Transport, parsed
from .upkeep import Upkeep


class Quire:
    """A connection to Quire: `async with Quire(url, api_key) as quire:`.

    Without `url` and `api_key` they come from QUIRE_URL and QUIRE_API_KEY, else from `.quire/credentials.env`
    (`settings.find`). Every method raises QuireError where the server refuses and Unreachable where it does not answer;
    what may be tried again is tried again for `patience` seconds before.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, *, patience: float = 30) -> None:
        if url is None or api_key is None:
            found = settings.find()
            if url is not None and url.rstrip("/") != found.url:
                raise settings.NoCredentials(f"No key for {url} is known: give api_key as well.")
            url, api_key = found.url, api_key or found.api_key
        self.url = url.rstrip("/")
        self._transport = Transport(url, api_key, patience)
        self.admin = Admin(self._transport)
        self.upkeep = Upkeep(self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.client.aclose()

    async def upload(
        self,
        source: Source,
        *,
        filename: str | None = None,
        title: str | None = None,
        folder: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> UploadedDocument:
        """Upload a file: a path, bytes, an open binary file, or an asynchronous iterable of bytes.

        It is read while it is sent. The server keeps a content once, so an upload whose connection broke is sent again;
        `duplicate` is true then where the first one had arrived after all. `progress(sent, total)` counts bytes of the
        content and starts over with each try. Raises OSError where the file cannot be read.
        """
        content = Content(source, filename)
        fields = [("tags", tag) for tag in tags]
        fields += [(name, text) for name, text in (("title", title), ("folder", folder)) if text is not None]
        if metadata is not None:
            fields.append(("metadata", json.dumps(metadata)))

        def build() -> httpx.Request:
            body = Body(content, fields, progress)
            return self._transport.client.build_request(
                "POST", "documents", content=body.stream(), headers=body.headers
            )

        return parsed(UploadedDocument, await self._transport.send(build, again=content.repeatable))

    async def document(self, document: str) -> Document:
        """One document as it is now."""
        return _with_etag(await self._transport.get(_path(document)))

    async def documents(
        self,
        *,
        status: Literal["processing", "ready", "failed"] | None = None,
        folder: str | None = None,
        tags: Sequence[str] = (),
        media_type: str | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[Document]:
        """The documents, newest first, page after page; in `folder` and below it, with all of `tags`."""
        async for document in self._transport.items(
            Document, "documents",
            status=status, folder=folder, tag=list(tags) or None, media_type=media_type, limit=page_size,
        ):  # fmt: skip
            yield document

    async def search(
        self,
        q: str,
        *,
        mode: Mode = "hybrid",
        limit: int = 10,
        folder: str | None = None,
        tags: Sequence[str] = (),
        media_type: str | None = None,
        language: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> SearchResults:
        """Find documents by meaning and by word: words, "phrases", OR, -not."""
        answer = await self._transport.get(
            "search",
            q=q, mode=mode, limit=limit, folder=folder, tag=list(tags) or None, media_type=media_type,
            language=language,
            created_after=created_after.astimezone().isoformat() if created_after else None,
            created_before=created_before.astimezone().isoformat() if created_before else None,
        )  # fmt: skip
        return parsed(SearchResults, answer)

    async def text(self, document: str) -> str:
        """The extracted text; 404 `not_ready` or `not_available` where there is none."""
        return (await self._transport.get(_path(document, "text"))).content.decode()

    async def download(self, document: str, path: str | os.PathLike[str], progress: Progress | None = None) -> Path:
        """Download the content to a file, or into a folder under the document's own file name; returns the path.

        The file is there only when it is complete. A download that broke off goes on where it was, also in a later
        call. Raises Damaged where the bytes are not those of the catalog, and OSError.
        """
        known = await self.document(document)
        target = Path(path)
        if await asyncio.to_thread(target.is_dir):
            target /= Path(known.filename).name
        await download(self._transport, known.id, known.sha256, target, progress)
        return target

    async def preview(self, document: str, page: int | Literal["thumbnail"] = 1) -> bytes:
        """A picture of a page (from 1) or the thumbnail, as WebP."""
        return (await self._transport.get(_path(document, f"previews/{page}"))).content

    async def timeline(self, document: str) -> list[TimelineEntry]:
        """What happened to a document, first to last."""
        return parsed(Timeline, await self._transport.get(_path(document, "timeline"))).data

    async def change(
        self,
        document: str,
        *,
        title: str | None = None,
        folder: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_match: str | None = None,
    ) -> Document:
        """Change what is given. With `if_match` (a document's `etag`), 412 where somebody changed it since."""
        given: dict[str, Any] = {"title": title, "folder": folder, "tags": tags, "metadata": metadata}
        changes = {name: value for name, value in given.items() if value is not None}
        headers = {"If-Match": if_match} if if_match else {}

        def build() -> httpx.Request:
            return self._transport.client.build_request("PATCH", _path(document), json=changes, headers=headers)

        return _with_etag(await self._transport.send(build, twice=False))

    async def delete(self, document: str) -> None:
        """Delete a document with everything that was made of it."""
        tries = 0

        def build() -> httpx.Request:
            nonlocal tries
            tries += 1
            return self._transport.client.build_request("DELETE", _path(document))

        try:
            await self._transport.send(build)
        except QuireError as error:
            if error.status != 404 or tries == 1:  # an earlier try may have deleted it
                raise

    async def retry(self, document: str, stage: str | None = None, *, force: bool = False) -> Document:
        """Do a stage that failed, or all of them, once more; with `force` also a stage that did not fail.

        409 where nothing failed, or where another stage has to come first.
        """
        body = {"stage": stage, "force": force}

        def build() -> httpx.Request:
            return self._transport.client.build_request("POST", _path(document, "retry"), json=body)

        return parsed(Document, await self._transport.send(build, twice=False))

    async def retry_all(
        self,
        *,
        ids: Sequence[str] | None = None,
        status: Literal["processing", "ready", "failed"] | None = None,
        folder: str | None = None,
        tags: Sequence[str] = (),
        media_type: str | None = None,
        stage: str | None = None,
        reason: str | None = None,
        dry_run: bool = False,
    ) -> Retried:
        """Do the stages that failed once more in every document that fits; with `dry_run` only count them.

        `reason` is a stage's short code, for example `exhausted`; at most 1000 `ids`.
        """
        given = {
            "ids": None if ids is None else list(ids), "status": status, "folder": folder, "tag": list(tags) or None,
            "media_type": media_type, "stage": stage, "reason": reason, "dry_run": dry_run,
        }  # fmt: skip
        body = {name: value for name, value in given.items() if value is not None}

        def build() -> httpx.Request:
            return self._transport.client.build_request("POST", "documents/retry", json=body, timeout=BULK_TIMEOUT_S)

        return parsed(Retried, await self._transport.send(build, twice=False))

    def events(
        self, *, after: str | None = None, document: str | None = None, types: Sequence[str] = ()
    ) -> AsyncIterator[Event]:
        """Events behind the cursor `after`, or from now on, without end and across broken connections."""
        return follow(self._transport, after=after, document=document, types=types)

    def following(self) -> AbstractAsyncContextManager[Following]:
        """To wait for many documents at once: `async with quire.following() as f: await f.settled(id, timeout)`."""
        return Following(self.document, self.events).running()

    async def wait(self, document: str, timeout: float | None = None, on_change: OnChange | None = None) -> Document:  # noqa: ASYNC109
        """The document once it is ready or failed; StillProcessing (a TimeoutError) after `timeout` seconds."""
        events = partial(self.events, document=document)
        async with Following(self.document, events).running() as following:
            return await following.settled(document, timeout, on_change)


def _path(document: str, rest: str = "") -> str:
    return "/".join(part for part in ("documents", quote(document, safe=""), rest) if part)


def _with_etag(response: httpx.Response) -> Document:
    return parsed(Document, response).model_copy(update={"etag": response.headers.get("etag")})
