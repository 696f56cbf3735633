"""What the embedder does with the one event it takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quire_contracts import Chunk, Embedded, EmbeddedData, TextExtracted, Vectors
from quire_contracts.keys import vectors_key
from quire_models import ModelRefused, RateLimited
from quire_runtime.blobs import pack, unpack
from quire_runtime.errors import Later, Permanent
from quire_runtime.storage import Store

from .embedding import Embedding

LARGE_AT_ONCE = 2
"""Documents in hand whose chunks did not fit into their event; each may hold some 50 MB."""
LARGE_WAIT_S = 300.0
"""How long a large document waits for its turn before it gives its place back, far below the broker's 30 minutes."""
_KEY_REFUSED = (401, 403)
_KEY_WAIT_S = 600.0


class Handlers:
    """Embeds documents in one space."""

    def __init__(self, store: Store, embedding: Embedding) -> None:
        self._store = store
        self._embedding = embedding
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def on_text_extracted(self, event: TextExtracted) -> Embedded:
        """Embed every chunk of a document; one without chunks gets zero vectors.

        Raises `Permanent` where the model refuses a text, `Later` where its server asks to wait, `ModelUnavailable`
        where it may work the next time, and `ObjectNotFound` where the chunks are gone.
        """
        space = self._embedding.space
        async with self._turn(event):
            try:
                vectors = await self._embedding.vectors(await self._texts(event))
            except RateLimited as error:
                raise Later(error.retry_after_s, f"the embedding server's rate limit: {error}") from error
            except ModelRefused as error:
                if error.status in _KEY_REFUSED:  # the operator's mistake, and no document's
                    raise Later(_KEY_WAIT_S, f"the embedding server refuses the key: {error}") from error
                raise Permanent("model_refused", f"{space.model} refused the text: {error}") from error
            packed = await pack(self._store, vectors_key(event, space.id), vectors, Vectors)
        return Embedded.follow(
            event, EmbeddedData(revision=event.data.revision, vectors=packed), discriminator=space.id
        )

    async def _texts(self, event: TextExtracted) -> list[str]:
        return [chunk.text for chunk in await unpack(self._store, event.data.chunks, list[Chunk])]

    @asynccontextmanager
    async def _turn(self, event: TextExtracted) -> AsyncIterator[None]:
        if event.data.chunks.key is None:
            yield
            return
        try:
            async with asyncio.timeout(LARGE_WAIT_S):
                await self._large.acquire()
        except TimeoutError:
            raise Later(60, "other large documents are being embedded") from None
        try:
            yield
        finally:
            self._large.release()
