"""Vectors for the chunks of many documents at once: documents share calls of the model, each is given its own rows."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import numpy as np

from quire_contracts import Vectors
from quire_models import EmbeddingModel, Floats, ModelUnavailable, RateLimited
from quire_runtime.batch import Batcher

SLICE = 32
"""Texts of one document that go through the model together."""
SLICES_IN_LINE = 4
"""Slices of one document that wait at once; the next ones stand behind the other documents again."""
SLICES = 32
"""Slices in one call of the model, at most: 1,024 texts."""

_Passing: TypeAlias = RateLimited | ModelUnavailable


class Embedding:
    """Embeds documents with one model, slice by slice."""

    def __init__(self, model: EmbeddingModel, calls: Batcher[Sequence[str], "Floats | _Passing"]) -> None:
        self._calls = calls
        self.space = model.space

    async def vectors(self, texts: Sequence[str]) -> Vectors:
        """One vector for each text, in their order. Raises the `ModelError` that the document's own texts led to."""
        rows = np.empty((len(texts), self.space.dimensions), np.dtype("<f2"))
        for turn in range(0, len(texts), SLICE * SLICES_IN_LINE):
            starts = range(turn, min(len(texts), turn + SLICE * SLICES_IN_LINE), SLICE)
            answers = await asyncio.gather(*(self._calls.add(texts[start : start + SLICE]) for start in starts))
            for start, answer in zip(starts, answers, strict=True):
                if isinstance(answer, Exception):
                    raise answer
                rows[start : start + SLICE] = answer
        data = base64.b64encode(rows.data)
        del rows
        return Vectors(
            space=self.space.id, dimensions=self.space.dimensions, count=len(texts), data=data.decode("ascii")
        )


@asynccontextmanager
async def embedding_with(model: EmbeddingModel, *, calls_at_once: int = 1) -> AsyncIterator[Embedding]:
    """Embedding with a model, which stays the caller's to close."""

    async def flush(slices: list[Sequence[str]]) -> Sequence[Floats | _Passing]:
        try:
            rows = await model.embed_documents([text for texts in slices for text in texts])
        except (RateLimited, ModelUnavailable) as error:
            # An answer for all: raised here it would make the batcher ask again for each slice by itself, which is
            # right for a text that the model refuses and wrong for a server that is in trouble already.
            return [error] * len(slices)
        return list(_parts(rows, slices))

    async with Batcher(flush, max_items=SLICES, concurrency=calls_at_once) as calls:
        yield Embedding(model, calls)


def _parts(rows: Floats, slices: Sequence[Sequence[str]]) -> Iterator[Floats]:
    end = 0
    for texts in slices:
        start, end = end, end + len(texts)
        yield rows[start:end]
