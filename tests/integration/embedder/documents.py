"""Events of documents with chunks, and readers of their vectors."""

import base64

import numpy as np
from numpy.typing import NDArray

from quire_contracts import Chunk, Embedded, TextExtracted, Vectors
from quire_contracts.keys import chunks_key
from quire_runtime.blobs import pack, unpack
from quire_runtime.storage import Store
from tests.support import examples


async def extracted(store: Store, texts: list[str], document: str = "doc_1") -> TextExtracted:
    """The event of a document with these chunks, in the event or in the store as their size wants it."""
    event = examples.extracted(examples.uploaded("w1", document))
    chunks = [Chunk(index=at, text=text, start=0, end=len(text)) for at, text in enumerate(texts)]
    packed = await pack(store, chunks_key(event), chunks, list[Chunk])
    return event.model_copy(update={"data": event.data.model_copy(update={"chunks": packed})})


async def rows_of(store: Store, event: Embedded) -> NDArray[np.float16]:
    """The vectors of an event, shape (count, dimensions)."""
    return decoded(await unpack(store, event.data.vectors, Vectors))


def decoded(vectors: Vectors) -> NDArray[np.float16]:
    rows = np.frombuffer(base64.b64decode(vectors.data, validate=True), "<f2")
    return rows.reshape(vectors.count, vectors.dimensions)
