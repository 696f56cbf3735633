"""Reconciling: catalog, index and store are walked through side by side; what differs is told, and mended on demand.

The catalog is what is true. Documents are compared in windows of their ids, so that any number of them needs the memory
of one window. What has changed just now may differ because events are on their way, and is left for the next time.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import asyncpg
import httpx
from pydantic import BaseModel, Field, ValidationError

from quire_contracts import Embedded
from quire_contracts.keys import document_prefix
from quire_gateway import audit_db
from quire_gateway.problems import Problem
from quire_gateway.state import Gateway
from quire_runtime.storage import ObjectNotFound

from . import differences, orphans, reconcile_db, reindex_db, repair
from .differences import Cure, Difference, Entry, Facts, Found, Payload
from .lines import Progress
from .rebuild import alone, until_room

WINDOW = 200
INVENTORY = 1000
LISTINGS = 16
"""Documents whose objects are listed at once."""
CONTENTS = 4
"""Contents that are read at once for their checksums."""
SETTLED = timedelta(seconds=60)
"""What has changed within it is not compared."""
OBJECTS_TOLD = 1000
"""After so many orphans it is said how far it is."""


class Summary(BaseModel):
    """The last line."""

    type: Literal["summary"] = "summary"
    documents: int = Field(description="Compared")
    processing: int = Field(description="Left out: they are not done yet")
    moving: int = Field(description="Left out: they have changed just now")
    differences: dict[str, int] = Field(description="Kind to number")
    repaired: int
    unrepaired: int
    took_s: float


class Reconciliation:
    """One walk through everything."""

    def __init__(self, gateway: Gateway, actor: str, *, mend: bool, checksums: bool) -> None:
        self._gateway = gateway
        self._actor = actor
        self._mend = mend
        self._checksums = checksums
        self._counts: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._listing = asyncio.Semaphore(LISTINGS)
        self._reading = asyncio.Semaphore(CONTENTS)

    async def lines(self) -> AsyncGenerator[BaseModel, None]:
        """Do it, and tell what differs while it goes on."""
        started = time.monotonic()
        pool = self._gateway.pool
        async with alone(pool):
            total = await reconcile_db.count(pool)
            yield Progress(phase="documents", done=0, total=total)
            if self._mend:
                async with pool.acquire() as connection, connection.transaction():
                    await audit_db.add(connection, self._actor, "index.repair")
            done, after, more = 0, "", True
            while more:
                if self._mend:
                    async for paused in until_room(self._gateway, "documents", done, total):
                        yield paused
                rows = await reconcile_db.page(pool, after, SETTLED, WINDOW)
                more = len(rows) == WINDOW
                until = rows[-1]["id"] if more else None
                async for difference in self._window(rows, after, until):
                    yield difference
                after, done = until or after, done + len(rows)
                rate = round(done / max(time.monotonic() - started, 0.001), 1)
                yield Progress(phase="documents", done=done, total=max(total, done), rate=rate)
            async for line in self._orphans():
                yield line
            repaired = self._counts["repaired"]
            yield Summary(
                documents=self._counts["compared"], processing=self._counts["processing"],
                moving=self._counts["moving"], differences=dict(sorted(self._kinds.items())), repaired=repaired,
                unrepaired=self._kinds.total() - repaired, took_s=round(time.monotonic() - started, 3),
            )  # fmt: skip

    async def _window(self, rows: Sequence[asyncpg.Record], after: str, until: str | None) -> AsyncIterator[Difference]:
        """The documents behind `after` up to `until`; none for the end."""
        by_id = {row["id"]: row for row in rows}
        entries: dict[str, Entry] = {}
        extras: list[Entry] = []
        async for page in self._inventory(after, until):
            strangers = [entry for entry in page if entry.id not in by_id]
            appeared = await reconcile_db.known(self._gateway.pool, [entry.id for entry in strangers])
            extras = [entry for entry in strangers if entry.id not in appeared and entry.holds_something]
            for entry in page:
                row = by_id.get(entry.id)
                if row is None:
                    continue
                if row["deleted_at"] is None:
                    entries[entry.id] = entry
                elif entry.holds_something and not row["moving"]:
                    extras.append(entry)
            async for difference in self._extra(extras, by_id):
                yield difference
        compared = [row for row in rows if self._is_compared(row)]
        facts = _facts(await reconcile_db.payloads(self._gateway.pool, [row["id"] for row in compared]))
        found = await asyncio.gather(
            *(self._found(row, facts.get(row["id"], Facts()), entries.get(row["id"])) for row in compared)
        )
        differing = [(row, wrong) for row, wrong in zip(compared, found, strict=True) if wrong]
        for difference in await self._mended(differing):
            yield self._count(difference)

    def _is_compared(self, row: asyncpg.Record) -> bool:
        if row["deleted_at"] is not None:
            return False
        fate = "processing" if row["status"] == "processing" else "moving" if row["moving"] else "compared"
        self._counts[fate] += 1
        return fate == "compared"

    async def _inventory(self, after: str, until: str | None) -> AsyncIterator[list[Entry]]:
        while True:
            parameters: dict[str, str | int] = {
                "after": after,
                "limit": INVENTORY,
                **({"until": until} if until else {}),
            }
            try:
                answer = await self._gateway.search.get("/inventory", params=parameters)
                answer.raise_for_status()
                page = [Entry.model_validate(entry) for entry in answer.json()["data"]]
            except (httpx.HTTPError, ValidationError) as error:
                detail = f"The search service does not say what it has: {type(error).__name__}: {error}"
                raise Problem(503, "search_unavailable", detail) from error
            if page:
                yield page
            if len(page) < INVENTORY:
                return
            after = page[-1].id

    async def _extra(self, extras: Sequence[Entry], rows: Mapping[str, asyncpg.Record]) -> AsyncIterator[Difference]:
        if self._mend and extras:
            async with self._gateway.pool.acquire() as connection, connection.transaction():
                added = await repair.remove(connection, extras)
            self._gateway.relay.wake(added)
        for entry in extras:
            detail = "the catalog has deleted it" if entry.id in rows else "the catalog does not know it"
            yield self._count(
                Difference(
                    kind="extra_in_index",
                    document=entry.id,
                    workspace=entry.workspace,
                    detail=detail,
                    repaired=self._mend,
                )
            )

    async def _found(self, row: asyncpg.Record, facts: Facts, entry: Entry | None) -> list[Found]:
        objects = await self._objects(row)
        found = [*differences.of_objects(dict(row), facts, objects), *differences.of_index(dict(row), facts, entry)]
        if self._checksums and objects.get(row["content_key"]) == row["size"]:
            digest = await self._digest(row["content_key"])
            if digest != row["sha256"]:
                detail = f"the content's SHA-256 is {digest}: nothing but a backup can bring back {row['sha256']}"
                found.append(("checksum", detail, None))
        return found

    async def _objects(self, row: asyncpg.Record) -> dict[str, int]:
        async with self._listing:
            prefix = document_prefix(row["workspace_id"], row["id"])
            return {entry.key: entry.size async for entry in self._gateway.store.entries(prefix)}

    async def _digest(self, key: str) -> str:
        digest = hashlib.sha256()
        async with self._reading:
            try:
                async for piece in self._gateway.store.stream(key):
                    await asyncio.to_thread(digest.update, piece)
            except ObjectNotFound:
                return "unknown, for it was deleted just now"
        return digest.hexdigest()

    async def _mended(self, differing: Sequence[tuple[asyncpg.Record, list[Found]]]) -> list[Difference]:
        begun: set[tuple[str, Cure]] = set()
        if self._mend and differing:
            cures: dict[str, set[Cure]] = {}
            for row, found in differing:
                whole = not any(kind in ("missing_object", "checksum") and cure is None for kind, _, cure in found)
                cures[row["id"]] = {
                    cure for _, _, cure in found if cure and (whole or cure not in ("ingest", "preview"))
                }
            await self._forget([document for document, asked in cures.items() if "anew" in asked])
            async with self._gateway.pool.acquire() as connection, connection.transaction():
                living = await reindex_db.hold_living(connection, cures)
                begun, added = await repair.mend(connection, living, cures)
            self._gateway.relay.wake(added)
        return [
            Difference(
                kind=kind,
                document=row["id"],
                workspace=row["workspace_id"],
                detail=detail,
                repaired=cure is not None and (row["id"], cure) in begun,
            )
            for row, found in differing
            for kind, detail, cure in found
        ]

    async def _forget(self, documents: list[str]) -> None:
        """Make the index forget that these were deleted; who deletes one from now on is heard."""
        if documents:
            try:
                (await self._gateway.search.post("/forget", json={"ids": documents})).raise_for_status()
            except httpx.HTTPError as error:
                raise Problem(503, "search_unavailable", f"The search service does not answer: {error}") from error

    async def _orphans(self) -> AsyncIterator[BaseModel]:
        now, told = datetime.now(UTC), 0
        grace = timedelta(seconds=self._gateway.service.settings.orphan_grace_s)
        yield Progress(phase="objects", done=0)
        async for orphan in orphans.orphans(self._gateway.pool, self._gateway.store):
            age = now - orphan.entry.modified
            if age < SETTLED:
                continue
            ripe = age >= grace
            detail = f"{orphan.entry.key}, {orphan.entry.size} bytes"
            if not ripe:
                detail += f": deleted when it is {grace.total_seconds() / 3600:g} h old"
            if self._mend and ripe:
                await self._gateway.store.delete(orphan.entry.key)
            yield self._count(
                Difference(
                    kind="orphan_object",
                    document=orphan.document,
                    workspace=orphan.workspace,
                    detail=detail,
                    repaired=self._mend and ripe,
                )
            )
            told += 1
            if told % OBJECTS_TOLD == 0:
                yield Progress(phase="objects", done=told)

    def _count(self, difference: Difference) -> Difference:
        self._kinds[difference.kind] += 1
        self._counts["repaired"] += difference.repaired
        return difference


def _facts(rows: Sequence[asyncpg.Record]) -> dict[str, Facts]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        part = "vectors" if row["type"] == Embedded.type_name() else "chunks"
        payload = Payload(key=row["key"], size=row["size"], count=row["count"], space=row["space"])
        found.setdefault(row["document_id"], {})[part] = payload
    return {document: Facts(**parts) for document, parts in found.items()}
