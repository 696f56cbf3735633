"""The embedding space a vector belongs to, and what every embedding model offers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Space:
    """Names the geometry of a vector: two vectors can be compared if, and only if, their spaces have the same id.

    The id changes with the model, its dimensions, its precision and anything done to the text before it, so an id
    that is stored beside a vector says for ever how to make another one like it.
    """

    id: str
    model: str
    dimensions: int
    version: int


class EmbeddingModel(Protocol):
    """Turns text into vectors of one space.

    Every vector is finite and of length 1, so cosine similarity is the inner product. A text in which nothing can be
    read (empty, blank, nothing the model has a token for) is given `vectors.blank`. Only the first `text.MAX_CHARS`
    characters of a text count. Calls may run concurrently.
    """

    @property
    def space(self) -> Space: ...

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        """Embeds n texts; returns shape (n, d), row i for text i."""
        ...

    async def embed_query(self, text: str) -> Floats:
        """Embeds one question; returns shape (d,)."""
        ...

    async def close(self) -> None:
        """Frees the threads and connections; the model is not used afterwards."""
        ...
