"""One handler for each event that the index is made of; each waits until the batch that carries it is committed."""

import base64
import binascii
from collections.abc import Callable

import numpy as np
from pgvector import HalfVector

from quire_contracts import (
    Chunk,
    DocumentDeleted,
    DocumentEnriched,
    DocumentUpdated,
    Embedded,
    TextExtracted,
    Vectors,
)
from quire_runtime.batch import Batcher
from quire_runtime.blobs import unpack
from quire_runtime.errors import Permanent
from quire_runtime.storage import Store

from . import lexical
from .analysis import language_of
from .state import Change, OtherChange, TextChange, VectorChange


class Handlers:
    """Turns events into changes; `committed` is called after each commit, so that the outbox is relayed at once."""

    def __init__(self, store: Store, batch: Batcher[Change, bool], committed: Callable[[], None]) -> None:
        self._store = store
        self._batch = batch
        self._committed = committed

    async def on_text_extracted(self, event: TextExtracted) -> None:
        """The keyword leg of a document."""
        await self._add(text_change(event, await unpack(self._store, event.data.chunks, list[Chunk])))

    async def on_embedded(self, event: Embedded) -> None:
        """The vector leg of a document."""
        await self._add(vector_change(event, await unpack(self._store, event.data.vectors, Vectors)))

    async def on_document_enriched(self, event: DocumentEnriched) -> None:
        """Summary, keywords and suggested tags."""
        await self._add(OtherChange(event))

    async def on_document_updated(self, event: DocumentUpdated) -> None:
        """The catalog's entry."""
        await self._add(OtherChange(event))

    async def on_document_deleted(self, event: DocumentDeleted) -> None:
        """Everything goes, and nothing comes back."""
        await self._add(OtherChange(event))

    async def _add(self, change: Change) -> None:
        if await self._batch.add(change):
            self._committed()


def text_change(event: TextExtracted, chunks: list[Chunk]) -> TextChange:
    """The event with its chunks analysed in the document's language."""
    language = language_of(event.data.language)
    return TextChange(event, chunks, [lexical.passage(chunk.text, language) for chunk in chunks])


def vector_change(event: Embedded, vectors: Vectors) -> VectorChange:
    """The event with its vectors decoded. Raises `Permanent` where they are not what they say."""
    try:
        flat = np.frombuffer(base64.b64decode(vectors.data, validate=True), dtype="<f2")
        rows = flat.reshape(vectors.count, vectors.dimensions)
    except (binascii.Error, ValueError) as error:
        raise Permanent("corrupt", f"the vectors cannot be decoded: {error}") from error
    if not np.isfinite(rows).all():
        raise Permanent("corrupt", "a vector holds a number that is not finite")
    return VectorChange(event, vectors.space, vectors.dimensions, [HalfVector(row) for row in rows])
