"""Answering a query: plan it, run the one statement, mark the words."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import numpy as np
import structlog
from pgvector import HalfVector

from quire_models import EmbeddingModel, ModelError

from . import facets, rank, spaces
from .analysis import UNKNOWN, fold, language_of, stem, tokens
from .highlight import highlight
from .lexical import lexeme
from .parse import Query, parse
from .query import STATISTICS, Demands, Filters, Mode, Near, statement, tsquery_sequence
from .stopwords import STOPWORDS

log = structlog.get_logger(__name__)

REMEMBERED = 512
"""Answers kept in memory; each is good for as long as its workspace does not change."""


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    workspace: str
    text: str = ""
    mode: Mode = "hybrid"
    limit: int = 10
    filters: Filters = field(default_factory=Filters)


@dataclass(frozen=True)
class Answer:
    """Documents, best first, and the counts of all documents found."""

    hits: list[dict[str, Any]]
    facets: dict[str, dict[str, int]]


NOTHING = Answer([], {name: {} for name in facets.FIELDS})


class Engine:
    """The read side. One instance serves any number of concurrent queries."""

    def __init__(self, pool: asyncpg.Pool, known: spaces.Spaces, model: EmbeddingModel) -> None:
        self._pool = pool
        self._spaces = known
        self._model = model
        self._workspaces: dict[str, int] = {}
        self._languages: dict[int, Sequence[str]] = {}
        self._answers: OrderedDict[tuple[int, Request], Answer] = OrderedDict()

    async def search(self, request: Request) -> Answer:
        """The best documents. Raises `ModelError` where a purely semantic query cannot be embedded now."""
        workspace = await self._workspace(request.workspace)
        if workspace is None:
            return NOTHING
        query = parse(request.text)
        words, statistics = await self._statistics(workspace, query)
        known = (statistics["version"], request)
        if known in self._answers:
            self._answers.move_to_end(known)
            return self._answers[known]
        answer = await self._answer(workspace, request, query, words, statistics)
        self._answers[known] = answer
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return answer

    async def _answer(
        self, workspace: int, request: Request, query: Query, words: "Words", statistics: asyncpg.Record
    ) -> Answer:
        plan = near = None
        if words.lexemes and request.mode != "semantic":
            plan = rank.plan(words.lexemes, words.counts(statistics["counts"]), statistics["chunks"])
        if query.words and request.mode != "keyword":
            near = await self._near(query.text, statistics["chunks"], optional=plan is not None)
        if query.words and plan is None and near is None:
            return NOTHING
        sql, arguments = statement(
            workspace, plan, near, request.filters, self._demands(workspace, query), request.limit
        )
        row = await self._fetch(sql, arguments, near)
        return Answer(
            hits=[self._hit(hit, words) for hit in row["hits"]],
            facets={name: facets.ordered(row[name]) for name in facets.FIELDS},
        )

    async def _fetch(self, sql: str, arguments: Sequence[Any], near: Near | None) -> asyncpg.Record:
        if near is None or near.approximate is None:
            return (await self._pool.fetch(sql, *arguments))[0]
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            # Filters are applied after the graph is walked: walk on until enough documents pass them.
            await connection.execute("SET LOCAL hnsw.iterative_scan = relaxed_order; SET LOCAL hnsw.ef_search = 200")
            return (await connection.fetch(sql, *arguments))[0]

    async def _statistics(self, workspace: int, query: Query) -> tuple["Words", asyncpg.Record]:
        while True:
            languages = self._languages.get(workspace, ())
            words = Words(workspace, languages, query)
            (row,) = await self._pool.fetch(STATISTICS, workspace, words.names)
            if list(languages) == row["languages"]:
                return words, row
            self._languages[workspace] = row["languages"]

    async def _near(self, text: str, chunks: int, *, optional: bool) -> Near | None:
        try:
            vector = await self._model.embed_query(text)
        except ModelError as error:
            if not optional:
                raise
            log.warning("answered by keyword alone: the query has no vector", error=str(error))
            return None
        space = await self._spaces.number(self._model.space.id, self._model.space.dimensions)
        large = chunks > spaces.EXACT_BELOW and await self._spaces.has_index(space)
        return Near(space, HalfVector(vector.astype(np.float16)), self._model.space.dimensions if large else None)

    def _demands(self, workspace: int, query: Query) -> Demands:
        languages = self._languages.get(workspace, ())

        def any_of(texts: Sequence[str]) -> str:
            sequences = {
                tsquery_sequence(names): None
                for text in texts
                for language in languages
                if (names := [lexeme(workspace, language, token.term) for token in tokens(text, language)])
            }
            return " | ".join(sequences)

        return Demands(
            required=tuple(found for group in query.required if (found := any_of(group))),
            excluded=any_of(query.excluded) or None,
        )

    def _hit(self, hit: dict[str, Any], words: "Words") -> dict[str, Any]:
        language = language_of(hit["language"])
        terms = words.terms.get(language, frozenset())
        highlights = []
        for passage in hit.pop("passages") or ():
            shown = highlight(passage["text"], language, terms)
            highlights.append({
                "text": shown.text, "page": passage["page"], "ranges": shown.ranges,
                "start": passage["start"] + shown.start, "end": passage["start"] + shown.end,
            })  # fmt: skip
        legs = {"keyword": hit.pop("keyword"), "vector": hit.pop("similarity")}
        return {**hit, "highlights": highlights, "legs": legs}

    async def _workspace(self, name: str) -> int | None:
        if name not in self._workspaces:
            number = await self._pool.fetchval("SELECT no FROM workspace WHERE id = $1", name)
            if number is None:
                return None
            self._workspaces[name] = number
        return self._workspaces[name]


class Words:
    """The words of a query in every language of a workspace."""

    def __init__(self, workspace: int, languages: Sequence[str], query: Query) -> None:
        text = " ".join(query.words)
        spelt = [fold(text[token.start : token.end]) for token in tokens(text, UNKNOWN)]
        kept = {language: _without_stopwords(spelt, language, languages) for language in languages}
        if not any(any(words) for words in kept.values()):
            kept = {language: list(spelt) for language in languages}
        self.terms = {
            language: frozenset(stem(word, language) for word in words if word) for language, words in kept.items()
        }
        """Language to the terms that count as a match."""
        self.lexemes = [
            names
            for place in range(len(spelt))
            if (
                names := [
                    lexeme(workspace, language, stem(words[place], language))
                    for language, words in kept.items()
                    if words[place]
                ]
            )
        ]
        """For each word its lexemes, one a language."""
        self.names = list(dict.fromkeys(name for names in self.lexemes for name in names))

    def counts(self, frequencies: Sequence[int]) -> dict[str, int]:
        """Lexeme to frequency, from the frequencies of `names`."""
        return dict(zip(self.names, frequencies, strict=True))


def _without_stopwords(words: Sequence[str], language: str, languages: Sequence[str]) -> list[str]:
    """The words with empty strings for those that carry no meaning. An unknown language may be any of them."""
    asked = languages if language == UNKNOWN else (language,)
    stop = frozenset[str]().union(*(STOPWORDS.get(one, frozenset()) for one in asked))
    return ["" if word in stop else word for word in words]
