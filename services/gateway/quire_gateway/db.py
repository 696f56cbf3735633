"""Every SQL statement of the gateway."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg
import orjson

from quire_contracts import (
    DocumentEnriched,
    DocumentIndexed,
    DocumentInfo,
    Embedded,
    Event,
    PreviewReady,
    ProcessingFailed,
    TextExtracted,
)
from quire_runtime import outbox
from quire_runtime.db import Connection

Reader: TypeAlias = "asyncpg.Pool[asyncpg.Record] | Connection"


async def key_owner(reader: Reader, key_hash: bytes) -> asyncpg.Record | None:
    """The living key with this hash."""
    return await reader.fetchrow(
        "SELECT id, workspace_id, scopes FROM api_key WHERE key_sha256 = $1 AND revoked_at IS NULL", key_hash
    )


async def signing_secret(reader: Reader, purpose: str) -> str:
    """The secret that all gateways share."""
    return str(await reader.fetchval("SELECT secret FROM signing_secret WHERE purpose = $1", purpose))


async def insert_documents(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Enter new documents; returns the ids of those whose content the workspace did not have yet."""
    inserted = await connection.fetch(
        """
        INSERT INTO document (id, workspace_id, title, filename, folder, tags, metadata, media_type, size, sha256,
                              content_key, created_at, updated_at)
        SELECT r.id, r.workspace_id, r.title, r.filename, r.folder,
               ARRAY(SELECT jsonb_array_elements_text(r.tags)), r.metadata, r.media_type, r.size, r.sha256,
               r.content_key, r.created_at, r.created_at
        FROM jsonb_to_recordset($1::jsonb) AS r(
            id text, workspace_id text, title text, filename text, folder text, tags jsonb, metadata jsonb,
            media_type text, size bigint, sha256 text, content_key text, created_at timestamptz)
        ORDER BY r.workspace_id, r.sha256
        ON CONFLICT (workspace_id, sha256) WHERE deleted_at IS NULL DO NOTHING
        RETURNING id
        """,
        list(rows),
    )
    return {row["id"] for row in inserted}


async def documents_by_content(reader: Reader, contents: Sequence[tuple[str, str]]) -> list[asyncpg.Record]:
    """The living documents with these (workspace, SHA-256)."""
    return await reader.fetch(
        """
        SELECT d.* FROM document d
        JOIN unnest($1::text[], $2::text[]) AS c(workspace_id, sha256) USING (workspace_id, sha256)
        WHERE d.deleted_at IS NULL
        """,
        [workspace for workspace, _ in contents],
        [sha256 for _, sha256 in contents],
    )


async def document(reader: Reader, workspace: str, document_id: str) -> asyncpg.Record | None:
    """One living document."""
    return await reader.fetchrow(
        "SELECT * FROM document WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL", document_id, workspace
    )


async def documents(reader: Reader, workspace: str, ids: Sequence[str]) -> dict[str, asyncpg.Record]:
    """Those of the documents that live, by id."""
    rows = await reader.fetch(
        "SELECT * FROM document WHERE id = ANY($1::text[]) AND workspace_id = $2 AND deleted_at IS NULL",
        list(ids),
        workspace,
    )
    return {row["id"]: row for row in rows}


async def list_documents(
    reader: Reader, workspace: str, filters: dict[str, Any], after: tuple[datetime, str] | None, limit: int
) -> list[asyncpg.Record]:
    """Documents of a workspace, newest first, after the position `(created_at, id)`."""
    at, last = after if after is not None else (None, None)
    return await reader.fetch(
        """
        SELECT * FROM document
        WHERE workspace_id = $1 AND deleted_at IS NULL
          AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::text))
          AND ($4::text IS NULL OR status = $4)
          AND ($5::text IS NULL OR folder = $5 OR starts_with(folder, rtrim($5, '/') || '/'))
          AND ($6::text[] IS NULL OR tags @> $6)
          AND ($7::text IS NULL OR media_type = $7)
        ORDER BY created_at DESC, id DESC
        LIMIT $8
        """,
        workspace, at, last, filters["status"], filters["folder"], filters["tags"], filters["media_type"], limit,
    )  # fmt: skip


async def update_document(
    connection: Connection, workspace: str, document_id: str, changes: dict[str, Any], expected_version: int | None
) -> asyncpg.Record | None:
    """Change a living document's entry; None where it does not exist or has another version than expected."""
    return await connection.fetchrow(
        """
        UPDATE document SET
            title = COALESCE($3, title), folder = COALESCE($4, folder), tags = COALESCE($5::text[], tags),
            metadata = COALESCE($6::jsonb, metadata), version = version + 1, updated_at = now()
        WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL AND ($7::int IS NULL OR version = $7)
        RETURNING *
        """,
        document_id, workspace, changes.get("title"), changes.get("folder"), changes.get("tags"),
        changes.get("metadata"), expected_version,
    )  # fmt: skip


async def delete_document(connection: Connection, workspace: str, document_id: str) -> asyncpg.Record | None:
    """Leave a tombstone of a living document; None where there is none."""
    return await connection.fetchrow(
        """
        UPDATE document SET deleted_at = now(), updated_at = now(), version = version + 1
        WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL RETURNING *
        """,
        document_id,
        workspace,
    )


def info_of(row: asyncpg.Record | dict[str, Any]) -> DocumentInfo:
    """A catalog row as events carry it."""
    fields = ("title", "filename", "folder", "tags", "metadata", "media_type", "size", "created_at")
    return DocumentInfo(version=row.get("version") or 1, **{field: row[field] for field in fields})


async def record(connection: Connection, events: Sequence[Event]) -> set[str]:
    """Write events to the log; returns the ids of those that were not there yet.

    Rows are written in the order of their ids, so that two batches with the same events cannot wait for each other.
    """
    ordered = sorted(events, key=lambda event: event.id)
    rows = await connection.fetch(
        """
        INSERT INTO event (id, workspace_id, document_id, type, at, body)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        ON CONFLICT (id) DO NOTHING RETURNING id
        """,
        [event.id for event in ordered],
        [event.workspaceid for event in ordered],
        [event.subject for event in ordered],
        [event.type for event in ordered],
        [event.time for event in ordered],
        [event.to_json().decode() for event in ordered],
    )
    return {row["id"] for row in rows}


async def publish(connection: Connection, events: Sequence[Event]) -> None:
    """Log events of our own and put them into the outbox, in the caller's transaction."""
    await record(connection, await outbox.add(connection, events))


async def lock_documents(connection: Connection, ids: Sequence[str]) -> dict[str, asyncpg.Record]:
    """Lock documents, tombstones included, in a fixed order; by id: workspace, revision, whether it is deleted, and
    how often it was swept."""
    rows = await connection.fetch(
        "SELECT id, workspace_id, revision, deleted_at, replays FROM document WHERE id = ANY($1::text[])"
        " ORDER BY id FOR NO KEY UPDATE",
        list(ids),
    )
    return {row["id"]: row for row in rows}


async def apply_text(connection: Connection, events: Sequence[TextExtracted]) -> None:
    """The text is there."""
    rows = [
        {
            "id": event.subject,
            "revision": event.data.revision,
            "language": event.data.language,
            "page_count": event.data.page_count,
            "characters": event.data.characters,
            "text_key": event.data.text_key,
        }
        for event in events
    ]
    await connection.execute(
        """
        UPDATE document d SET ingest = 'done', reasons = reasons - 'ingest', language = r.language,
            page_count = COALESCE(r.page_count, d.page_count), characters = r.characters, text_key = r.text_key,
            updated_at = now()
        FROM jsonb_to_recordset($1::jsonb) AS r(
            id text, revision int, language text, page_count int, characters bigint, text_key text)
        WHERE d.id = r.id AND d.revision = r.revision
        """,
        rows,
    )


async def apply_vectors(connection: Connection, events: Sequence[Embedded]) -> None:
    """The vectors are there."""
    await connection.execute(
        """
        UPDATE document d SET embed = 'done', reasons = reasons - 'embed', updated_at = now()
        FROM unnest($1::text[], $2::int[]) AS r(id, revision)
        WHERE d.id = r.id AND d.revision = r.revision
        """,
        [event.subject for event in events],
        [event.data.revision for event in events],
    )


async def apply_index(connection: Connection, events: Sequence[DocumentIndexed]) -> None:
    """More legs of the search find the document; it is indexed when both do."""
    merged: dict[tuple[str, int], dict[str, Any]] = {}
    for event in events:
        row = merged.setdefault((event.subject, event.data.revision), {"legs": set(), "chunks": event.data.chunks})
        row["legs"] |= set(event.data.legs)
    rows = [
        {"id": key[0], "revision": key[1], "legs": sorted(row["legs"]), "chunks": row["chunks"]}
        for key, row in merged.items()
    ]
    await connection.execute(
        """
        UPDATE document d SET
            searchable = s.legs, chunks = r.chunks, updated_at = now(),
            "index" = CASE WHEN s.legs @> '{keyword,vector}' THEN 'done' ELSE "index" END,
            reasons = CASE WHEN s.legs @> '{keyword,vector}' THEN reasons - 'index' ELSE reasons END
        FROM jsonb_to_recordset($1::jsonb) AS r(id text, revision int, legs jsonb, chunks int),
            LATERAL (
                SELECT ARRAY(
                    SELECT leg FROM document x, unnest(x.searchable) AS leg WHERE x.id = r.id
                    UNION SELECT jsonb_array_elements_text(r.legs) ORDER BY 1
                ) AS legs
            ) AS s
        WHERE d.id = r.id AND d.revision = r.revision
        """,
        rows,
    )


async def apply_enrichment(connection: Connection, events: Sequence[DocumentEnriched]) -> None:
    """A summary is there."""
    rows = [
        {
            "id": event.subject,
            "revision": event.data.revision,
            "summary": event.data.summary,
            "keywords": event.data.keywords,
            "tags": event.data.tags,
        }
        for event in events
    ]
    await connection.execute(
        """
        UPDATE document d SET enrich = 'done', reasons = reasons - 'enrich', summary = r.summary,
            keywords = ARRAY(SELECT jsonb_array_elements_text(r.keywords)),
            suggested_tags = ARRAY(SELECT jsonb_array_elements_text(r.tags)), updated_at = now()
        FROM jsonb_to_recordset($1::jsonb) AS r(id text, revision int, summary text, keywords jsonb, tags jsonb)
        WHERE d.id = r.id AND d.revision = r.revision
        """,
        rows,
    )


async def apply_previews(connection: Connection, events: Sequence[PreviewReady]) -> None:
    """The pictures are there, or will never be. Where the text has pages too, theirs is the number that counts."""
    rows = [
        {
            "id": event.subject,
            "revision": event.data.revision,
            "stage": "skipped" if event.data.skipped else "done",
            "why": {"preview": {"reason": "no_preview", "detail": event.data.skipped}} if event.data.skipped else {},
            "page_count": event.data.page_count,
            "previews": event.data.model_dump(mode="json", include={"thumbnail", "pages"}),
        }
        for event in events
    ]
    await connection.execute(
        """
        UPDATE document d SET preview = r.stage, reasons = (reasons - 'preview') || r.why, previews = r.previews,
            page_count = COALESCE(d.page_count, r.page_count), updated_at = now()
        FROM jsonb_to_recordset($1::jsonb) AS r(
            id text, revision int, stage text, why jsonb, page_count int, previews jsonb)
        WHERE d.id = r.id AND d.revision = r.revision
        """,
        rows,
    )


async def apply_failures(connection: Connection, events: Sequence[ProcessingFailed]) -> None:
    """Stages gave up. A stage that is done or skipped stays so: the failure is older."""
    for event in events:
        stage = event.data.stage
        why = {stage: {"reason": event.data.reason, "detail": event.data.detail}}
        await connection.execute(
            f"""
            UPDATE document SET "{stage}" = 'failed', reasons = reasons || $3::jsonb, updated_at = now()
            WHERE id = $1 AND revision = $2 AND "{stage}" NOT IN ('done', 'skipped')
            """,  # noqa: S608 - a Stage is one of five words
            event.subject,
            event.data.revision,
            why,
        )


async def begin_again(connection: Connection, stages: Sequence[tuple[str, str]], *, counted: bool) -> None:
    """Set stages (document id, stage) to pending; `counted` adds to the document's replays, else they begin anew."""
    by_stage: dict[str, list[str]] = {}
    for document_id, stage in stages:
        by_stage.setdefault(stage, []).append(document_id)
    for stage, ids in by_stage.items():
        await connection.execute(
            f"""
            UPDATE document SET "{stage}" = 'pending', reasons = reasons - '{stage}', updated_at = now()
            WHERE id = ANY($1::text[])
            """,  # noqa: S608 - a Stage is one of five words
            ids,
        )
    await connection.execute(
        "UPDATE document SET replays = CASE WHEN $2 THEN replays + 1 ELSE 0 END WHERE id = ANY($1::text[])",
        sorted({document_id for document_id, _ in stages}),
        counted,
    )


async def logged(reader: Reader, document_ids: Sequence[str], kinds: Sequence[type[Event]]) -> list[str]:
    """The events of these types and documents as JSON, in the order in which they were recorded."""
    rows = await reader.fetch(
        "SELECT body FROM event WHERE document_id = ANY($1::text[]) AND type = ANY($2::text[]) ORDER BY txid, seq",
        list(document_ids),
        [kind.type_name() for kind in kinds],
    )
    return [row["body"] for row in rows]


async def timeline(reader: Reader, document_id: str) -> list[dict[str, Any]]:
    """The events of a document in the order in which they were recorded."""
    rows = await reader.fetch("SELECT body FROM event WHERE document_id = $1 ORDER BY txid, seq", document_id)
    return [orjson.loads(row["body"]) for row in rows]


async def feed_position(reader: Reader) -> tuple[int, int]:
    """The end of the event log as of now: every later event comes after it."""
    row = await reader.fetchrow("SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS txid")
    assert row is not None
    return int(row["txid"]) - 1, 2**62


async def feed_after(
    reader: Reader, position: tuple[int, int], limit: int, workspace: str | None = None
) -> list[asyncpg.Record]:
    """Events after a position, in feed order, below the oldest transaction that still runs."""
    return await reader.fetch(
        """
        SELECT txid::text AS txid, seq, workspace_id, document_id, type, body FROM event
        WHERE (txid, seq) > ($1::text::xid8, $2) AND txid < pg_snapshot_xmin(pg_current_snapshot())
          AND ($4::text IS NULL OR workspace_id = $4)
        ORDER BY event.txid, event.seq LIMIT $3
        """,
        str(position[0]),
        position[1],
        limit,
        workspace,
    )


async def create_workspace(
    connection: Connection, workspace: str, name: str, account: tuple[str, str, str], key: tuple[str, str, bytes]
) -> None:
    """A workspace with its first administrator (id, email, password hash) and API key (id, prefix, hash)."""
    await connection.execute("INSERT INTO workspace (id, name) VALUES ($1, $2)", workspace, name)
    await connection.execute(
        "INSERT INTO account (id, workspace_id, email, password_hash, role) VALUES ($1, $2, $3, $4, 'admin')",
        account[0], workspace, account[1], account[2],
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO api_key (id, workspace_id, name, prefix, key_sha256, scopes)"
        " SELECT $1, $2, 'first key', $3, $4,"
        " CASE WHEN EXISTS (SELECT FROM api_key) THEN '{}' ELSE '{operator}' END::text[]",
        key[0], workspace, key[1], key[2],
    )  # fmt: skip
