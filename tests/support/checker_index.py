"""I3 and I4: the index against the catalog and the objects, and every count in it against a recount."""

from pathlib import Path

import asyncpg

from tests.support.checker_findings import Finding

TEXTS = 500
"""Documents whose passages are compared with their text, letter by letter."""

READY = """
SELECT d.id, d.chunks AS announced, s.chunks AS entered, s.deleted, s.version, d.version AS catalogued, s.revision,
       d.revision AS current, s.enriched_at,
       (SELECT count(*) FROM search.chunk c WHERE c.document = s.no AND c.index >= 0) AS passages,
       (SELECT max(c.index) + 1 FROM search.chunk c WHERE c.document = s.no AND c.index >= 0) AS last,
       (SELECT count(*) FROM search.chunk c WHERE c.document = s.no AND c.index < 0) AS titles,
       (SELECT count(*) FROM search.embedding e WHERE e.document = s.no) AS vectors,
       (SELECT max(e.index) + 1 FROM search.embedding e WHERE e.document = s.no) AS last_vector,
       (SELECT count(*) FROM jsonb_object_keys(s.spaces)) AS spaces
FROM catalog.document d LEFT JOIN search.document s ON s.id = d.id
WHERE d.deleted_at IS NULL AND d.status = 'ready'
"""

HOMELESS = """
SELECT coalesce(s.id, 'no. ' || rows.document) AS id, rows.kind, count(*)
FROM (SELECT document, 'chunk' AS kind FROM search.chunk UNION ALL SELECT document, 'embedding' FROM search.embedding)
    AS rows
LEFT JOIN search.document s ON s.no = rows.document
LEFT JOIN catalog.document d ON d.id = s.id AND d.deleted_at IS NULL
WHERE d.id IS NULL GROUP BY 1, 2
"""

TERMS = """
SELECT coalesce(t.term, r.term) AS term, coalesce(t.chunks, 0) AS counted, coalesce(r.chunks, 0) AS are
FROM search.term t FULL JOIN (
    SELECT lexeme AS term, count(*) AS chunks
    FROM search.chunk, unnest(tsvector_to_array(lexemes)) AS lexeme WHERE index >= 0 GROUP BY 1
) AS r ON r.term = t.term
WHERE coalesce(t.chunks, 0) <> coalesce(r.chunks, 0)
"""

WORKSPACES = """
SELECT w.id, w.chunks AS counted, count(c.document) AS are
FROM search.workspace w LEFT JOIN search.document s ON s.workspace = w.no
LEFT JOIN search.chunk c ON c.document = s.no AND c.index >= 0
GROUP BY 1, 2 HAVING w.chunks <> count(c.document)
"""

UNAPPLIED = """
SELECT e.id || ' ' || e.type AS event FROM catalog.event e
WHERE e.type IN ('quire.text.extracted.v1', 'quire.document.embedded.v1', 'quire.document.enriched.v1',
                 'quire.document.updated.v1', 'quire.document.deleted.v1')
  AND NOT EXISTS (SELECT FROM search.inbox i WHERE i.consumer = 'search' AND i.event_id = e.id)
"""

REPEATED = """
SELECT document_id || ' ' || type AS effect FROM catalog.event
WHERE type <> 'quire.stage.retried.v1' AND body::jsonb->>'causationid' IS NOT NULL
GROUP BY document_id, type, body::jsonb->>'causationid', body::jsonb->>'source', body::jsonb->'data'->>'stage',
         body::jsonb->'data'->'vectors'->'inline'->>'space'
HAVING count(*) > 1
"""

PASSAGES = """
SELECT d.id, d.text_key, c.index, c.start, c."end", c.text
FROM (SELECT id, text_key FROM catalog.document
      WHERE deleted_at IS NULL AND status = 'ready' AND text_key IS NOT NULL ORDER BY id DESC LIMIT $1) AS d
JOIN search.document s ON s.id = d.id JOIN search.chunk c ON c.document = s.no AND c.index >= 0
ORDER BY d.id
"""


async def check(database: asyncpg.Connection, objects: Path) -> list[Finding]:
    """Everything that is not as it should be."""
    found = []
    wrong = [(row["id"], why) for row in await database.fetch(READY) if (why := _wrong(row))]
    if wrong:
        found.append(Finding("I3", "lost", "not indexed as it should be", [f"{one} {why}" for one, why in wrong]))
    homeless = await database.fetch(HOMELESS)
    if homeless:
        rows = [f"{row['count']} {row['kind']} of {row['id']}" for row in homeless]
        found.append(Finding("I3", "unexpected", "rows of documents that do not exist", rows))
    for what, query, name in (("term", TERMS, "term"), ("workspace", WORKSPACES, "id")):
        rows = [f"{row[name]!r}: {row['counted']} for {row['are']}" for row in await database.fetch(query)]
        if rows:
            found.append(Finding("I4", "duplicated", f"search.{what} counts what is not there", rows))
    unapplied = [row["event"] for row in await database.fetch(UNAPPLIED)]
    if unapplied:
        found.append(Finding("I4", "lost", "events that the index never applied", unapplied))
    repeated = [row["effect"] for row in await database.fetch(REPEATED)]
    if repeated:
        found.append(Finding("I4", "duplicated", "one cause, the same effect under several ids", repeated))
    return [*found, *await _texts(database, objects)]


def _wrong(row: asyncpg.Record) -> str:
    """Why a ready document is not indexed as it should be; empty where it is."""
    if row["entered"] is None or row["deleted"]:
        return "is not in the index"
    chunks = row["announced"]
    if not row["entered"] == row["passages"] == chunks == (row["last"] or 0):
        return f"has {row['passages']} passages where {chunks} were announced and {row['entered']} entered"
    if row["vectors"] != chunks * row["spaces"] or (row["last_vector"] or 0) != chunks or row["spaces"] < 1:
        return f"has {row['vectors']} vectors for {chunks} passages in {row['spaces']} spaces"
    if row["titles"] != 1 or row["version"] != row["catalogued"] or row["revision"] != row["current"]:
        return f"has {row['titles']} titles, version {row['version']} of {row['catalogued']}"
    return ""


async def _texts(database: asyncpg.Connection, objects: Path) -> list[Finding]:
    wrong, key, text = [], None, ""
    for row in await database.fetch(PASSAGES, TEXTS):
        if row["text_key"] != key:
            key = row["text_key"]
            path = objects / key
            text = path.read_bytes().decode() if path.exists() else ""  # a missing object is I6's to tell
        if text and text[row["start"] : row["end"]].replace("\0", " ") != row["text"]:
            wrong.append(f"{row['id']} {row['index']}")
    return [Finding("I3", "unexpected", "passages that are not in the text", wrong)] if wrong else []
