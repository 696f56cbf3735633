"""Orphans: objects of documents that the catalog does not know, or has deleted."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from quire_runtime.storage import Entry, Store

from . import sweep_db

_AT_ONCE = 1000
_PARTS = 4
"""workspace/document/revision/name: what is called otherwise is not ours to judge."""


@dataclass(frozen=True)
class Orphan:
    """An object that nothing in the catalog stands for."""

    workspace: str
    document: str
    entry: Entry


async def orphans(pool: asyncpg.Pool, store: Store) -> AsyncIterator[Orphan]:
    """Every orphan in the store. An upload's object is one too, until its document is entered a moment later."""
    waiting: list[Orphan] = []
    async for entry in store.entries(""):
        parts = entry.key.split("/")
        if len(parts) >= _PARTS:
            waiting.append(Orphan(parts[0], parts[1], entry))
        if len(waiting) == _AT_ONCE:
            for orphan in await _without_home(pool, waiting):
                yield orphan
            waiting.clear()
    for orphan in await _without_home(pool, waiting):
        yield orphan


async def delete_older(pool: asyncpg.Pool, store: Store, before: datetime) -> int:
    """Delete the orphans that were last written before a moment; returns how many there were."""
    gone = 0
    async for orphan in orphans(pool, store):
        if orphan.entry.modified < before:
            await store.delete(orphan.entry.key)
            gone += 1
    return gone


async def _without_home(pool: asyncpg.Pool, found: list[Orphan]) -> list[Orphan]:
    homes = await sweep_db.living(pool, list({(one.workspace, one.document) for one in found}))
    return [one for one in found if (one.workspace, one.document) not in homes]
