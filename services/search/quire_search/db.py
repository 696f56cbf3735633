"""Writing the index: a batch of changes in one transaction, safe beside other workers doing the same.

Locks are always taken in one order, so that no two transactions can wait for each other: inbox rows by event id,
documents by id, terms by name, workspaces by number. The last two are touched by every batch of a workspace and
therefore locked last, for the length of two short statements and the commit.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
from pgvector import SparseVector

from quire_contracts import DocumentIndexed, DocumentIndexedData, Event
from quire_runtime import inbox, outbox
from quire_runtime.db import Connection
from quire_runtime.errors import Refused

from . import lexical
from .analysis import language_of
from .rows import clean, columns_of, document_of
from .spaces import Spaces
from .state import Change, Document, Effects, TextChange, apply

CONSUMER = "search"
TITLE = -1
"""Index of the row that holds a document's title, file name and tags."""

CHUNK_COLUMNS = ("document", "index", "page", "start", "end", "impacts", "lexemes", "text")
EMBEDDING_COLUMNS = ("document", "index", "workspace", "space", "vector")

COPIED_AT_ONCE = 1000
"""Rows of one COPY."""

LOCK = """
SELECT no, id, workspace, deleted, revision, version, title, filename, folder, tags, metadata, media_type, size,
       created_at, text_at, language, page_count, chunks, enriched_at, summary, keywords, suggested_tags, spaces
FROM document WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE
"""

UPDATE = """
UPDATE document AS d SET
    deleted = new.deleted, revision = new.revision, version = new.version, title = new.title, filename = new.filename,
    folder = new.folder, tags = new.tags, metadata = new.metadata, media_type = new.media_type, size = new.size,
    created_at = new.created_at, text_at = new.text_at, language = new.language, page_count = new.page_count,
    chunks = new.chunks, enriched_at = new.enriched_at, summary = new.summary, keywords = new.keywords,
    suggested_tags = new.suggested_tags, spaces = new.spaces
FROM jsonb_to_recordset($1::jsonb) AS new(
    no bigint, deleted boolean, revision integer, version integer, title text, filename text, folder text, tags text[],
    metadata jsonb, media_type text, size bigint, created_at timestamptz, text_at timestamptz, language text,
    page_count integer, chunks integer, enriched_at timestamptz, summary text, keywords text[], suggested_tags text[],
    spaces jsonb)
WHERE d.no = new.no
"""

REMOVE_CHUNKS = """
WITH gone AS (DELETE FROM chunk WHERE document = ANY($1::bigint[]) RETURNING document, index, lexemes)
SELECT document, lexeme, count(*)::integer AS chunks FROM gone, unnest(tsvector_to_array(lexemes)) AS lexeme
WHERE index >= 0 GROUP BY document, lexeme
"""

COUNT_TERMS = """
INSERT INTO term AS t (term, chunks)
SELECT * FROM unnest($1::text[], $2::integer[]) AS new(term, chunks) ORDER BY term COLLATE "C"
ON CONFLICT (term) DO UPDATE SET chunks = t.chunks + excluded.chunks
"""

BUMP = """
UPDATE workspace SET version = version + 1, chunks = chunks + $2,
    languages = CASE WHEN languages @> $3::text[] THEN languages
                     ELSE ARRAY(SELECT DISTINCT unnest(languages || $3::text[]) ORDER BY 1) END
WHERE no = $1
"""


class Totals:
    """What a batch adds to the counts of its workspaces."""

    def __init__(self) -> None:
        self.terms: Counter[str] = Counter()
        self.chunks: Counter[int] = Counter()
        self.languages: dict[int, set[str]] = {}


class Index:
    """The write side. One instance serves any number of concurrent batches."""

    def __init__(self, pool: asyncpg.Pool, spaces: Spaces) -> None:
        self._pool = pool
        self._spaces = spaces
        self._workspaces: dict[str, int] = {}

    async def apply(self, changes: list[Change]) -> list[bool]:
        """Apply a batch in one transaction; tells for each change whether its event was new.

        Raises `Refused` where an event names another workspace than its document's.
        """
        workspaces = await self._workspace_numbers({change.event.workspaceid for change in changes})
        numbers = await self._spaces.numbers(changes)
        async with self._pool.acquire() as connection, connection.transaction():
            new = await inbox.claim(connection, CONSUMER, {change.event.id for change in changes})
            by_document: dict[str, list[Change]] = {}
            for change in {change.event.id: change for change in changes if change.event.id in new}.values():
                by_document.setdefault(change.event.subject, []).append(change)
            if by_document:
                await self._write(connection, by_document, workspaces, numbers)
        return [change.event.id in new for change in changes]

    async def _write(
        self,
        connection: Connection,
        by_document: Mapping[str, Sequence[Change]],
        workspaces: Mapping[str, int],
        spaces: Mapping[str, int],
    ) -> None:
        batch = [_Pending(row, by_document[row["id"]]) for row in await self._lock(connection, by_document, workspaces)]
        for pending in batch:
            if pending.workspace != workspaces[pending.changes[0].event.workspaceid]:
                event = pending.changes[0].event
                raise Refused(f"document {event.subject} is not in workspace {event.workspaceid}")
        totals = Totals()
        await self._remove(connection, batch, totals)
        await self._insert(connection, batch, spaces, totals)
        await connection.execute(
            UPDATE, [columns_of(pending.no, pending.after) for pending in batch if pending.changed]
        )
        await self._count(connection, {pending.workspace for pending in batch if pending.changed}, totals)
        await outbox.add(connection, [event for pending in batch for event in pending.announcements()])

    async def _lock(
        self, connection: Connection, by_document: Mapping[str, Sequence[Change]], workspaces: Mapping[str, int]
    ) -> list[asyncpg.Record]:
        ids = sorted(by_document)
        await connection.execute(
            "INSERT INTO document (id, workspace) SELECT * FROM unnest($1::text[], $2::integer[])"
            " ON CONFLICT (id) DO NOTHING",
            ids,
            [workspaces[by_document[id_][0].event.workspaceid] for id_ in ids],
        )
        return await connection.fetch(LOCK, ids)

    async def _remove(self, connection: Connection, batch: Sequence["_Pending"], totals: Totals) -> None:
        chunks = [pending for pending in batch if pending.stored_text and pending.text_goes]
        if chunks:
            workspace = {pending.no: pending for pending in chunks}
            for row in await connection.fetch(REMOVE_CHUNKS, list(workspace)):
                totals.terms[row["lexeme"]] -= row["chunks"]
            for pending in chunks:
                totals.chunks[pending.workspace] -= pending.before.text.chunks if pending.before.text else 0
        titles = [pending.no for pending in batch if pending.title_changes]
        if titles:
            await connection.execute("DELETE FROM chunk WHERE document = ANY($1::bigint[]) AND index = -1", titles)
        wiped = [pending.no for pending in batch if pending.effects.wipe and pending.before.spaces]
        if wiped:
            await connection.execute("DELETE FROM embedding WHERE document = ANY($1::bigint[])", wiped)
        for pending in batch:
            for space in pending.effects.vectors:
                if not pending.effects.wipe and space in pending.before.spaces:
                    await connection.execute(
                        "DELETE FROM embedding WHERE document = $1 AND space = (SELECT no FROM space WHERE name = $2)",
                        pending.no,
                        space,
                    )

    async def _insert(
        self, connection: Connection, batch: Sequence["_Pending"], spaces: Mapping[str, int], totals: Totals
    ) -> None:
        chunks = [row for pending in batch for row in pending.chunk_rows(totals)]
        await _copy(connection, "chunk", chunks, CHUNK_COLUMNS)
        vectors = [
            (pending.no, index, pending.workspace, spaces[space], vector)
            for pending in batch
            for space, change in pending.effects.vectors.items()
            for index, vector in enumerate(change.rows)
        ]
        await _copy(connection, "embedding", vectors, EMBEDDING_COLUMNS)

    async def _count(self, connection: Connection, workspaces: Iterable[int], totals: Totals) -> None:
        changed = {term: count for term, count in totals.terms.items() if count}
        if changed:
            await connection.execute(COUNT_TERMS, list(changed), list(changed.values()))
        for workspace in sorted(workspaces):
            languages = sorted(totals.languages.get(workspace, ()))
            await connection.execute(BUMP, workspace, totals.chunks[workspace], languages)

    async def _workspace_numbers(self, ids: set[str]) -> Mapping[str, int]:
        unknown = sorted(ids - self._workspaces.keys())
        if unknown:
            await self._pool.execute(
                "INSERT INTO workspace (id) SELECT unnest($1::text[]) ON CONFLICT (id) DO NOTHING", unknown
            )
            rows = await self._pool.fetch("SELECT id, no FROM workspace WHERE id = ANY($1::text[])", unknown)
            self._workspaces.update((row["id"], row["no"]) for row in rows)
        return self._workspaces


async def _copy(connection: Connection, table: str, rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> None:
    """In parts, so that no statement of a document with very many passages lasts as long as the time-out."""
    for start in range(0, len(rows), COPIED_AT_ONCE):
        await connection.copy_records_to_table(
            table, records=rows[start : start + COPIED_AT_ONCE], columns=list(columns)
        )


class _Pending:
    """A locked document and what the batch makes of it."""

    def __init__(self, row: asyncpg.Record, changes: Sequence[Change]) -> None:
        self.no: int = row["no"]
        self.workspace: int = row["workspace"]
        self.changes = changes
        self.before = document_of(row)
        self.effects = Effects()
        self.after = self.before
        for change in changes:
            self.after = apply(self.after, change, self.effects)
        self.changed = self.after != self.before
        self.stored_text = self.before.info is not None or self.before.text is not None

    @property
    def text_goes(self) -> bool:
        """Whether every row of `chunk` that the document has is to be removed."""
        return self.effects.wipe or self.effects.text is not None

    @property
    def title_changes(self) -> bool:
        """Whether the title row alone is to be replaced."""
        return not self.text_goes and self.before.info is not None and _title(self.before) != _title(self.after)

    def chunk_rows(self, totals: Totals) -> Iterable[tuple[Any, ...]]:
        """The rows to insert, counted into `totals`."""
        if self.after.info is not None and (self.text_goes or _title(self.before) != _title(self.after)):
            words, language = _title(self.after)
            found = lexical.passage(words, language)
            totals.languages.setdefault(self.workspace, set()).add(language)
            yield self._row(TITLE, None, 0, 0, found, language, lexical.TITLE_LENGTH, self.after.info.title)
        change = self.effects.text
        if change is not None:
            language = language_of(change.event.data.language)
            totals.languages.setdefault(self.workspace, set()).add(language)
            yield from self._body(change, language, totals)

    def _body(self, change: TextChange, language: str, totals: Totals) -> Iterable[tuple[Any, ...]]:
        prefix = lexical.lexeme(self.workspace, language, "")
        totals.chunks[self.workspace] += len(change.chunks)
        for chunk, found in zip(change.chunks, change.passages, strict=True):
            totals.terms.update([prefix + term for term in found.positions])
            yield self._row(
                chunk.index, chunk.page, chunk.start, chunk.end, found, language, lexical.AVERAGE_LENGTH, chunk.text
            )

    def _row(
        self, index: int, page: int | None, start: int, end: int, found: lexical.Passage, language: str,
        average: float, text: str,
    ) -> tuple[Any, ...]:  # fmt: skip
        impacts = SparseVector(lexical.impacts(found, self.workspace, language, average), lexical.DIMENSIONS)
        lexemes = lexical.lexemes(found, self.workspace, language)
        return self.no, index, page, start, end, impacts, lexemes, clean(text)

    def announcements(self) -> list[Event]:
        """`DocumentIndexed`, where the batch added to a leg and the document can be found by word."""
        cause, text = self.effects.cause, self.after.text
        if cause is None or text is None:
            return []
        spaces = sorted(self.after.spaces, key=lambda space: self.after.spaces[space])
        data = DocumentIndexedData(
            revision=self.after.revision,
            legs=["keyword", "vector"] if spaces else ["keyword"],
            chunks=text.chunks,
            space=spaces[-1] if spaces else None,
        )
        return [DocumentIndexed.follow(cause, data)]


def _title(document: Document) -> tuple[str, str]:
    """The words of a document's title row, and their language."""
    info = document.info
    words = "" if info is None else "\n".join((info.title, info.filename, *info.tags))
    return words, language_of(document.text.language if document.text else None)
