# ruff: noqa: S608  (every value from outside is an argument)
"""The SQL of a query: both legs, fusion, filters, facets and the passages to show, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pgvector import HalfVector, SparseVector

from . import facets, lexical
from .rank import KEYWORD_SHARE, POOL, TITLE_SHARE, Plan

Mode = Literal["hybrid", "semantic", "keyword"]

PASSAGES = 3
"""Passages shown of a document."""

STATISTICS = """
SELECT version, chunks, languages, ARRAY(
    SELECT coalesce(t.chunks, 0) FROM unnest($2::text[]) WITH ORDINALITY AS wanted(term, place)
    LEFT JOIN term AS t USING (term) ORDER BY place) AS counts
FROM workspace WHERE no = $1
"""
"""What a query is planned with: the index's version, N, its languages, and the frequency of each lexeme."""


EMPTY_LEG = "SELECT NULL::bigint AS document, NULL::float8 AS {} LIMIT 0"


@dataclass(frozen=True)
class Filters:
    """Which documents may be found."""

    folder: str | None = None
    """This folder and everything below it."""
    tags: tuple[str, ...] = ()
    """All of them."""
    media_types: tuple[str, ...] = ()
    """One of them."""
    languages: tuple[str, ...] = ()
    """One of them."""
    created_from: datetime | None = None
    created_to: datetime | None = None
    """From the first up to, not including, the second."""


@dataclass(frozen=True)
class Demands:
    """What a document's text must and must not contain, as tsqueries over lexemes."""

    required: tuple[str, ...] = ()
    excluded: str | None = None


@dataclass(frozen=True)
class Near:
    """What the vector leg looks for."""

    space: int
    vector: HalfVector
    approximate: int | None
    """The dimensions of the HNSW index to ask; none to compare every vector."""


class _Arguments:
    """Collects arguments and gives their placeholders."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def __call__(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def statement(
    workspace: int, plan: Plan | None, near: Near | None, filters: Filters, demands: Demands, limit: int
) -> tuple[str, list[Any]]:
    """The statement and its arguments. Without a plan or a vector it lists the newest documents.

    It gives one row: `hits`, a list of documents with their passages, best first, and one column a facet.
    """
    add = _Arguments()
    entry = _entry(add, workspace)
    narrow = _narrow(add, filters, demands)
    visible = " AND ".join([entry, *narrow])
    parts = [
        _word_leg(add, plan, narrow) if plan else f"kw AS ({EMPTY_LEG.format('score')})",
        _vector_leg(add, near, workspace, narrow) if near else f"sem AS ({EMPTY_LEG.format('similarity')})",
        _found(add, plan, near, entry, limit) if plan or near else _newest(add, visible, limit),
        _shown(plan, near),
    ]
    sql = f"""
WITH {",".join(parts)}
SELECT (SELECT coalesce(jsonb_agg(hit ORDER BY hit.score DESC, hit.created_at DESC, hit.no DESC), '[]') FROM (
    SELECT d.no, d.id AS document_id, d.revision, d.title, d.filename, d.folder, d.tags, d.metadata, d.media_type,
           d.size, d.created_at, d.language, d.page_count, d.summary, d.keywords, d.suggested_tags,
           f.score, f.keyword, f.similarity, s.passages
    FROM fused AS f JOIN document AS d ON d.no = f.document LEFT JOIN shown AS s ON s.document = f.document
) AS hit) AS hits,
{facets.columns()}
"""
    return sql, add.values


def _entry(add: _Arguments, workspace: int) -> str:
    """What makes a document `d` one that may be shown at all."""
    return f"d.workspace = {add(workspace)} AND NOT d.deleted AND d.version > 0"


def _narrow(add: _Arguments, filters: Filters, demands: Demands) -> list[str]:
    """The conditions that a query puts on document `d`."""
    conditions: list[str] = []
    if filters.folder is not None and filters.folder.strip("/"):
        folder = "/" + filters.folder.strip("/")
        below = folder.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "/%"
        conditions.append(f"(d.folder = {add(folder)} OR d.folder LIKE {add(below)})")
    if filters.tags:
        conditions.append(f"d.tags @> {add(list(filters.tags))}::text[]")
    if filters.media_types:
        conditions.append(f"d.media_type = ANY({add(list(filters.media_types))}::text[])")
    if filters.languages:
        conditions.append(f"d.language = ANY({add(list(filters.languages))}::text[])")
    if filters.created_from is not None:
        conditions.append(f"d.created_at >= {add(filters.created_from)}")
    if filters.created_to is not None:
        conditions.append(f"d.created_at < {add(filters.created_to)}")
    conditions += [f"d.no IN (SELECT document FROM containing({add(phrase)}::tsquery))" for phrase in demands.required]
    if demands.excluded:
        conditions.append(f"d.no NOT IN (SELECT document FROM containing({add(demands.excluded)}::tsquery))")
    return conditions


def _word_leg(add: _Arguments, plan: Plan, narrow: Sequence[str]) -> str:
    """Every passage with one of the words looked up, and the documents they belong to."""
    lookup = add(tsquery_any(plan.lookup))
    weights = add(SparseVector(lexical.weights(plan.idf), lexical.DIMENSIONS))
    filtered = f"JOIN document AS d ON d.no = w.document WHERE {' AND '.join(narrow)}" if narrow else ""
    return f"""
word AS MATERIALIZED (
    SELECT w.document, w.index, w.score FROM matching({lookup}::tsquery, {weights}) AS w {filtered}
), kw AS MATERIALIZED (
    SELECT document, coalesce(max(score) FILTER (WHERE index >= 0), 0)
                     + {TITLE_SHARE} * coalesce(max(score) FILTER (WHERE index < 0), 0) AS score
    FROM word GROUP BY document
)"""


def _vector_leg(add: _Arguments, near: Near, workspace: int, narrow: Sequence[str]) -> str:
    """The nearest passages, and the documents they belong to."""
    vector = add(near.vector)
    if near.approximate is None:
        column, space = "e.vector", add(near.space)
    else:  # as the partial index has it, word for word
        column, space = f"(e.vector::halfvec({near.approximate}))", str(near.space)
    filtered = " AND ".join([f"e.workspace = {add(workspace)} AND e.space = {space}", *narrow])
    return f"""
nearest AS MATERIALIZED (
    SELECT e.document, e.index, {column} <#> {vector} AS distance
    FROM embedding AS e {"JOIN document AS d ON d.no = e.document" if narrow else ""}
    WHERE {filtered} ORDER BY distance LIMIT {2 * POOL}
), near AS (
    SELECT document, index, -distance AS similarity FROM nearest
), sem AS MATERIALIZED (
    SELECT document, max(similarity) AS similarity FROM near GROUP BY document ORDER BY 2 DESC LIMIT {POOL}
)"""


def _found(add: _Arguments, plan: Plan | None, near: Near | None, entry: str, limit: int) -> str:
    """The documents of both legs: all of them for the facets, the best of them scored and fused."""
    similarity = "sem.similarity"
    if plan is not None and near is not None:
        similarity = f"""coalesce(sem.similarity, (
        SELECT max(-(e.vector <#> {add(near.vector)})) FROM embedding AS e
        WHERE e.document = found.document AND e.space = {add(near.space)}))"""
    return f"""
matched AS MATERIALIZED (
    SELECT d.media_type, d.language, d.folder, d.tags FROM document AS d
    WHERE d.no IN (SELECT document FROM kw UNION SELECT document FROM sem) AND {entry}
), scored AS MATERIALIZED (
    SELECT found.document, kw.score AS keyword, {similarity} AS similarity
    FROM (
        (SELECT document FROM kw ORDER BY score DESC, document DESC LIMIT {POOL}) UNION SELECT document FROM sem
    ) AS found LEFT JOIN kw USING (document) LEFT JOIN sem USING (document)
    JOIN document AS d ON d.no = found.document WHERE {entry}
), fused AS MATERIALIZED (
    SELECT document, keyword, similarity, {_fusion(plan, near)} AS score
    FROM scored ORDER BY score DESC, document DESC LIMIT {add(limit)}
)"""


def _newest(add: _Arguments, visible: str, limit: int) -> str:
    """Without words: every document that passes the filters, the newest first."""
    return f"""
matched AS MATERIALIZED (
    SELECT d.no, d.created_at, d.media_type, d.language, d.folder, d.tags FROM document AS d WHERE {visible}
), fused AS MATERIALIZED (
    SELECT no AS document, NULL::float8 AS keyword, NULL::float8 AS similarity, 0::float8 AS score FROM matched
    ORDER BY created_at DESC, no DESC LIMIT {add(limit)}
)"""


def _fusion(plan: Plan | None, near: Near | None) -> str:
    """A convex combination of the legs, each divided by its best score (Bruch, Gai, Ingber 2023)."""
    keyword = "coalesce(keyword / nullif(max(keyword) OVER (), 0), 0)"
    similarity = "greatest(coalesce(similarity / nullif(max(similarity) OVER (), 0), 0), 0)"
    if near is None:
        return keyword
    if plan is None:
        return "coalesce(similarity, 0)"
    return f"{KEYWORD_SHARE} * {keyword} + {1 - KEYWORD_SHARE} * {similarity}"


def _shown(plan: Plan | None, near: Near | None) -> str:
    """The best passages of each hit: those with a word of the query, else the one whose meaning is nearest."""
    sources = []
    if plan is not None:
        sources.append("SELECT document, index, score, 1 AS kind FROM word WHERE index >= 0")
    if near is not None:
        sources.append("SELECT document, index, similarity, 0 FROM near")
    if not sources:
        return "shown AS (SELECT NULL::bigint AS document, NULL::jsonb AS passages LIMIT 0)"
    return f"""
best AS (
    SELECT document, index, kind,
           row_number() OVER (PARTITION BY document ORDER BY kind DESC, score DESC, index) AS place
    FROM ({" UNION ALL ".join(sources)}) AS passage(document, index, score, kind)
    WHERE document IN (SELECT document FROM fused)
), shown AS (
    SELECT b.document, jsonb_agg(jsonb_build_object(
        'text', c.text, 'page', c.page, 'start', c.start, 'end', c."end") ORDER BY b.place) AS passages
    FROM best AS b JOIN chunk AS c USING (document, index)
    WHERE b.place <= {PASSAGES} AND (b.kind = 1 OR b.place = 1) GROUP BY b.document
)"""


def tsquery_any(lexemes: Sequence[str]) -> str:
    """A tsquery that one of the lexemes satisfies. Lexemes hold letters, digits and a colon, so quoting is enough."""
    return " | ".join(f"'{lexeme}'" for lexeme in lexemes)


def tsquery_sequence(lexemes: Sequence[str]) -> str:
    """A tsquery that the lexemes satisfy when they stand side by side in this order."""
    return "(" + " <-> ".join(f"'{lexeme}'" for lexeme in lexemes) + ")"
