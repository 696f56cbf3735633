"""I6: the objects against what the catalog names. The store is a folder."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from tests.support.checker_findings import Finding

LIVING = """
SELECT id, workspace_id, content_key, text_key, sha256, previews FROM catalog.document WHERE deleted_at IS NULL
"""

LARGE = """
SELECT e.body FROM catalog.event e JOIN catalog.document d ON d.id = e.document_id
WHERE d.deleted_at IS NULL AND strpos(e.body, '"key":') > 0
"""


async def check(database: asyncpg.Connection, objects: Path) -> list[Finding]:
    """Everything that is not as it should be."""
    rows = await database.fetch(LIVING)
    homes = {(row["workspace_id"], row["id"]) for row in rows}
    there = _files(objects)
    orphans = [key for key in there if tuple(key.split("/")[:2]) not in homes]
    staged = [key for key in there if "#" in key]
    named = {key: row["id"] for row in rows for key in _keys(row)}
    for row in await database.fetch(LARGE):
        event = orjson.loads(row["body"])
        named |= dict.fromkeys(_large(event["data"]), event["subject"])
    missing = [f"{key} of {document}" for key, document in named.items() if key not in there]
    changed = [row["id"] for row in rows if row["content_key"] in there and not _same(objects, row)]
    found = [
        ("unexpected", "objects of documents that do not exist", sorted(orphans)),
        ("unexpected", "uploads that were never finished", sorted(staged)),
        ("lost", "objects that the catalog names and the store does not have", missing),
        ("lost", "contents that are not what was uploaded", changed),
    ]
    return [Finding("I6", kind, text, keys) for kind, text, keys in found if keys]  # type: ignore[arg-type]


def _files(objects: Path) -> set[str]:
    return {path.relative_to(objects).as_posix() for path in objects.rglob("*") if path.is_file()}


def _keys(row: asyncpg.Record) -> Iterator[str]:
    yield row["content_key"]
    if row["text_key"]:
        yield row["text_key"]
    previews: dict[str, Any] = orjson.loads(row["previews"] or "{}")
    for image in (previews.get("thumbnail"), *(previews.get("pages") or ())):
        if image:
            yield image["key"]


def _large(value: Any) -> Iterator[str]:
    """Keys of payloads that did not fit into their event."""
    if isinstance(value, dict):
        if value.get("key") and "size" in value:
            yield value["key"]
        for inner in value.values():
            yield from _large(inner)


def _same(objects: Path, row: asyncpg.Record) -> bool:
    return hashlib.sha256((objects / row["content_key"]).read_bytes()).hexdigest() == str(row["sha256"])
