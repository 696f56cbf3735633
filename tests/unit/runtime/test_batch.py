"""The micro-batcher."""

import asyncio

import pytest

from quire_runtime.batch import Batcher


class Recorder:
    """A flush that notes its batches and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Semaphore(0)
        self.gate = asyncio.Event()
        self.gate.set()

    async def flush(self, items: list[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.release()
        await self.gate.wait()
        return [item * 10 for item in items]


async def test_a_lone_item_is_flushed_at_once_and_gets_its_own_result() -> None:
    recorder = Recorder()
    async with Batcher(recorder.flush) as batcher:
        assert await batcher.add(7) == 70
    assert recorder.batches == [[7]]


async def test_what_comes_during_a_flush_is_the_next_batch() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with Batcher(recorder.flush) as batcher:
        first = asyncio.create_task(batcher.add(1))
        await recorder.begun.acquire()
        others = [asyncio.create_task(batcher.add(item)) for item in range(2, 6)]
        await asyncio.sleep(0)
        recorder.gate.set()
        assert await asyncio.gather(first, *others) == [10, 20, 30, 40, 50]
    assert recorder.batches == [[1], [2, 3, 4, 5]]


async def test_a_batch_has_at_most_max_items_and_nothing_is_left() -> None:
    recorder = Recorder()
    async with Batcher(recorder.flush, max_items=3) as batcher:
        results = await asyncio.gather(*(batcher.add(item) for item in range(10)))
    assert results == [item * 10 for item in range(10)]
    assert all(len(batch) <= 3 for batch in recorder.batches)
    assert sorted(item for batch in recorder.batches for item in batch) == list(range(10))


async def test_a_bad_item_fails_alone() -> None:
    async def flush(items: list[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        return items

    async with Batcher(flush) as batcher:
        results = await asyncio.gather(*(batcher.add(item) for item in range(6)), return_exceptions=True)
    assert [item for item in results if not isinstance(item, BaseException)] == [0, 1, 2, 4, 5]
    assert isinstance(results[3], ValueError)


async def test_where_the_database_is_away_all_fail_together_and_at_once() -> None:
    flushes = []

    async def flush(items: list[int]) -> list[int]:
        flushes.append(items)
        raise ConnectionRefusedError("no database")

    async with Batcher(flush) as batcher:
        results = await asyncio.gather(*(batcher.add(item) for item in range(50)), return_exceptions=True)
    assert all(isinstance(result, ConnectionRefusedError) for result in results)
    assert len(flushes) < 5


async def test_a_flush_that_forgets_a_result_is_a_defect_and_hangs_nobody() -> None:
    async def flush(items: list[int]) -> list[int]:
        return []

    async with Batcher(flush) as batcher:
        with pytest.raises(RuntimeError, match="gave 0 results"):
            await batcher.add(1)


async def test_a_cancelled_waiter_is_not_flushed() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with Batcher(recorder.flush) as batcher:
        first = asyncio.create_task(batcher.add(1))
        await recorder.begun.acquire()
        gone, kept = asyncio.create_task(batcher.add(2)), asyncio.create_task(batcher.add(3))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        recorder.gate.set()
        assert (await first, await kept) == (10, 30)
    assert recorder.batches == [[1], [3]]


async def test_closing_ends_the_waiters_and_later_items_are_refused() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder.flush)
    async with batcher:
        waiting = [asyncio.create_task(batcher.add(item)) for item in range(3)]
        await recorder.begun.acquire()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    with pytest.raises(RuntimeError, match="closed"):
        await batcher.add(9)


async def test_several_flushes_run_at_once_where_that_is_allowed() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with Batcher(recorder.flush, max_items=1, concurrency=2) as batcher:
        tasks = [asyncio.create_task(batcher.add(item)) for item in (1, 2)]
        await recorder.begun.acquire()
        await recorder.begun.acquire()
        recorder.gate.set()
        assert await asyncio.gather(*tasks) == [10, 20]
