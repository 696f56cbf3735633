"""A model whose vectors tell which text they belong to, and which can be told to fail or to wait."""

import asyncio
from collections.abc import Sequence

import numpy as np

from quire_models import Floats, Space


class NumberModel:
    """The vector of a text is the number in it, and how the text ends."""

    space = Space("numbers-2-v1", "numbers", 2, 1)

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.failures: list[Exception] = []
        self.refused: dict[str, Exception] = {}
        self.called = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        self.calls.append(list(texts))
        self.called.set()
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        for text in texts:
            if text in self.refused:
                raise self.refused[text]
        rows = [(float(text.split()[0]), float(len(text))) for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), 2)

    async def embed_query(self, text: str) -> Floats:
        rows: Floats = (await self.embed_documents([text]))[0]
        return rows

    async def close(self) -> None:
        self.open.set()
