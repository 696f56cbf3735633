"""What the previewer does with an event: an uploaded document becomes pictures in storage."""

import asyncio
from typing import Final

from pydantic import BaseModel, ValidationError

from quire_contracts import DocumentUploaded, PreviewImage, PreviewReady, PreviewReadyData
from quire_contracts.keys import preview_key
from quire_runtime.sandbox import Job, Sandbox, SandboxStopped, as_permanent
from quire_runtime.storage import ObjectNotFound, Store

from .child import CONTENT
from .render import text, webp
from .render.families import Family, base_type, family_of

UPLOADS: Final = 4
"""Pictures of one document that are written to storage at once."""

MAX_FILE: Final = 32 * 1024**2
"""Bytes of one picture; far more than the largest page encodes to."""

NO_OFFICE: Final = (
    "Pictures of office documents need LibreOffice, which is not installed where the previewer runs: "
    "apt-get install libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui"
)


class Picture(BaseModel):
    """A picture as the child reports it. Its file's name is ours to say."""

    page: int
    width: int
    height: int


class Rendered(BaseModel):
    """What the child made."""

    count: int | None
    thumbnail: Picture
    pages: list[Picture]


class Manifest(BaseModel):
    """Written after the last picture: that it exists says that all of them do, made for the event `cause`."""

    cause: str
    data: PreviewReadyData


class Handlers:
    """`office` is the sandbox whose children may start `soffice`; without it office documents are skipped."""

    def __init__(
        self, store: Store, sandbox: Sandbox, *, pages: int, office: Sandbox | None = None, soffice: str | None = None
    ) -> None:
        self._store = store
        self._sandbox = sandbox
        self._office = office
        self._soffice = soffice
        self._pages = pages

    async def on_document_uploaded(self, event: DocumentUploaded) -> PreviewReady:
        """Render the document, unless that was done for this very event.

        Raises `Permanent` where it cannot be rendered, SandboxError and the store's errors where something else fails.
        """
        media_type = base_type(event.data.document.media_type)
        family = family_of(media_type)
        if family is None:
            return _skipped(event, f"There are no pictures of {media_type or 'a document of unknown type'}.")
        if family == "office" and self._office is None:
            return _skipped(event, NO_OFFICE)
        if (data := await self._made_before(event)) is None:
            data = await self._make(event, media_type, family)
        return PreviewReady.follow(event, data)

    async def _made_before(self, event: DocumentUploaded) -> PreviewReadyData | None:
        try:
            manifest = Manifest.model_validate_json(await self._store.get(preview_key(event, "manifest.json")))
        except (ObjectNotFound, ValidationError):
            return None
        # Another cause is a request to make them anew.
        return manifest.data if manifest.cause == event.id else None

    async def _make(self, event: DocumentUploaded, media_type: str, family: Family) -> PreviewReadyData:
        sandbox = self._office if family == "office" and self._office is not None else self._sandbox
        async with sandbox.job() as job:
            await self._fetch(event, job, family)
            arguments = {"media_type": media_type, "pages": self._pages, "soffice": self._soffice}
            try:
                made = Rendered.model_validate(await job.call("quire_previewer.child:pictures", arguments))
            except SandboxStopped as stopped:
                raise as_permanent(stopped) from stopped
            data = await self._keep(event, job, made)
        manifest = Manifest(cause=event.id, data=data)
        await self._store.put(preview_key(event, "manifest.json"), manifest.model_dump_json().encode())
        return data

    async def _fetch(self, event: DocumentUploaded, job: Job, family: Family) -> None:
        key, path = event.data.content_key, job.path / CONTENT
        if family == "text":  # a gigabyte of log is not fetched for the sake of its first pages
            with path.open("wb") as file:
                async for piece in self._store.stream(key, 0, text.needed_bytes(self._pages)):
                    file.write(piece)
        else:
            await self._store.download(key, path)

    async def _keep(self, event: DocumentUploaded, job: Job, made: Rendered) -> PreviewReadyData:
        turns = asyncio.Semaphore(UPLOADS)

        async def keep(picture: Picture, name: str) -> PreviewImage:
            key = preview_key(event, name)
            async with turns:
                with job.open(name) as file:
                    await self._store.put(key, file.read(MAX_FILE))
            return PreviewImage(page=picture.page, key=key, width=picture.width, height=picture.height)

        thumbnail, *pages = await asyncio.gather(
            keep(made.thumbnail, webp.THUMBNAIL),
            *(keep(picture, webp.page_name(picture.page)) for picture in made.pages[: self._pages]),
        )
        return PreviewReadyData(revision=event.data.revision, thumbnail=thumbnail, pages=pages, page_count=made.count)


def _skipped(event: DocumentUploaded, why: str) -> PreviewReady:
    return PreviewReady.follow(event, PreviewReadyData(revision=event.data.revision, skipped=why))
