"""The micro-batcher: many handlers wait, one flush does their work together.

A flush starts as soon as none is running, so that a lone item waits for nobody; whatever comes meanwhile is the next
batch. Under load batches therefore grow by themselves. If a batch fails, its items are flushed one by one, so that a
bad one fails alone; if the database is away, that is nobody's fault and all fail together.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

from .db import UNAVAILABLE

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """`await add(item)` returns the item's own result once the batch that carries it was flushed.

    `flush` takes a list of at most `max_items` and returns a result for each, in the same order. `max_wait_s` lets a
    batch wait for company. At most `concurrency` flushes run at once.
    """

    def __init__(
        self,
        flush: Callable[[list[T]], Awaitable[Sequence[R]]],
        *,
        max_items: int = 100,
        max_wait_s: float = 0.0,
        concurrency: int = 1,
    ) -> None:
        self._flush = flush
        self._max_items = max_items
        self._max_wait_s = max_wait_s
        self._concurrency = concurrency
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._arrived = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []

    async def add(self, item: T) -> R:
        """The result for this item; raises what `flush` raised for it."""
        if not self._workers:
            raise RuntimeError("the batcher is closed")
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        self._arrived.set()
        return await result

    async def __aenter__(self) -> Self:
        self._workers = [asyncio.create_task(self._work(), name="batcher") for _ in range(self._concurrency)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            if self._max_wait_s and len(self._waiting) < self._max_items:
                await asyncio.sleep(self._max_wait_s)
            batch = self._take()
            if batch:
                try:
                    await self._run(batch)
                except asyncio.CancelledError:
                    for _, result in batch:
                        result.cancel()
                    raise

    def _take(self) -> list[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        while self._waiting and len(batch) < self._max_items:
            item, result = self._waiting.popleft()
            if not result.done():  # its handler was cancelled meanwhile
                batch.append((item, result))
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _run(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._flush([item for item, _ in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"a flush of {len(batch)} items gave {len(answers)} results")
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, UNAVAILABLE):
                for one in batch:
                    await self._run([one])
                return
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), answer in zip(batch, answers, strict=True):
            if not result.done():
                result.set_result(answer)
