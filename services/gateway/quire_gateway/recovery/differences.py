"""What may differ between the catalog and what is made of it, and how one document's is found: pure functions."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

Kind = Literal[
    "missing_object",
    "checksum",
    "missing_in_index",
    "extra_in_index",
    "stale_revision",
    "stale_entry",
    "incomplete_index",
    "orphan_object",
]
Cure = Literal["ingest", "embed", "preview", "index", "anew", "entry"]
"""What mends a difference: a stage done once more; what is indexed given to search again (`anew`: after search forgot
that the document was deleted), or its entry alone."""

Row = Mapping[str, Any]


class Difference(BaseModel):
    """One thing that is not as the catalog has it."""

    type: Literal["difference"] = "difference"
    kind: Kind
    document: str
    workspace: str
    detail: str
    repaired: bool = Field(default=False, description="What mends it was given to its service, or done")


class Entry(BaseModel):
    """What the search service says of a document."""

    id: str
    workspace: str
    revision: int
    version: int
    deleted: bool
    chunks: int | None
    chunk_rows: int
    title_rows: int
    vectors: dict[str, int]

    @property
    def holds_something(self) -> bool:
        """Whether there is anything that a query could find."""
        return not self.deleted and (self.version > 0 or self.chunks is not None or bool(self.vectors))


class Payload(BaseModel):
    """Where an event's payload is, or how much rides inside it."""

    key: str | None
    size: int
    count: int | None
    space: str | None


class Facts(BaseModel):
    """What the event log says of a document's text and vectors."""

    chunks: Payload | None = None
    vectors: Payload | None = None


Found = tuple[Kind, str, Cure | None]
"""Kind, in words, and what mends it; none where nothing can."""


def of_objects(row: Row, facts: Facts, objects: Mapping[str, int]) -> Iterator[Found]:
    """What a document has in the store (key to bytes) against what is said of it."""

    def check(key: str | None, size: int | None, what: str, cure: Cure | None) -> Iterator[Found]:
        if key is None:
            return
        if key not in objects:
            end = "" if cure else ": nothing but a backup can bring it back"
            yield "missing_object", f"{what} is not in the store: {key}{end}", cure
        elif size is not None and objects[key] != size:
            yield "missing_object", f"{what} has {objects[key]} bytes instead of {size}: {key}", cure

    yield from check(row["content_key"], row["size"], "the content", None)
    yield from check(row["text_key"], None, "the text", "ingest")
    for payload, what, cure in ((facts.chunks, "chunks", "ingest"), (facts.vectors, "vectors", "embed")):
        if payload is not None:
            yield from check(payload.key, payload.size, what, cure)  # type: ignore[arg-type]
    previews = row["previews"] or {}
    for image in (previews.get("thumbnail"), *(previews.get("pages") or ())):
        if image:
            yield from check(image["key"], None, f"the picture of page {image['page']}", "preview")


def of_index(row: Row, facts: Facts, entry: Entry | None) -> Iterator[Found]:
    """What the index holds of a living document against what the catalog was told that it holds."""
    if entry is not None and entry.deleted:
        yield "missing_in_index", "the index has it as deleted", "anew"
        return
    if entry is not None and entry.workspace != row["workspace_id"]:
        yield "extra_in_index", f"the index has it in workspace {entry.workspace}", None
        return
    legs = row["searchable"]
    if entry is None or not entry.holds_something:
        if legs or row["version"] > 1:
            yield "missing_in_index", "the index does not have it", "index"
        return
    if legs and entry.revision != row["revision"]:
        yield "stale_revision", f"revision {entry.revision} instead of {row['revision']}", "index"
    elif wrong := _incomplete(row, facts, entry):
        yield "incomplete_index", wrong, "index"
    if (legs or row["version"] > 1) and entry.version != row["version"]:
        newer = entry.version > row["version"]
        end = ": the index keeps the newer one until it is rebuilt" if newer else ""
        yield "stale_entry", f"version {entry.version} instead of {row['version']}{end}", None if newer else "entry"


def _incomplete(row: Row, facts: Facts, entry: Entry) -> str:
    legs = row["searchable"]
    wanted = facts.chunks.count if facts.chunks and facts.chunks.count is not None else row["chunks"]
    if entry.version and entry.title_rows != 1:
        return f"{entry.title_rows} titles instead of 1"
    if "keyword" in legs and (entry.chunks != wanted or entry.chunk_rows != wanted):
        return f"{entry.chunk_rows} of {wanted} passages"
    if "vector" in legs:
        space = facts.vectors.space if facts.vectors else None
        if not entry.vectors or (space is not None and space not in entry.vectors):
            return f"no vectors in {space or 'any space'}"
        short = {name: count for name, count in entry.vectors.items() if count != wanted}
        if short:
            return ", ".join(f"{count} of {wanted} vectors in {name}" for name, count in sorted(short.items()))
    return ""
