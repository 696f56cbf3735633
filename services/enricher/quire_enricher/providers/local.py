"""The provider that needs no key: extracts sentences and terms from the text itself; the same text, the same answer."""

from quire_enricher.enrichment import KEYWORDS, TAGS, Enrichment
from quire_enricher.local.sentences import sentences
from quire_enricher.local.stopwords import stop_words
from quire_enricher.local.summary import summarise
from quire_enricher.local.terms import keywords_and_tags


class LocalProvider:
    """About a millisecond of one core for a page; never more than a few, because no more than `characters` are read."""

    name = "local"
    model = None
    paid = False
    characters = 20_000

    async def enrich(self, text: str, language: str | None) -> Enrichment:
        """See `Provider.enrich`; never raises."""
        stop = stop_words(language)
        lines = sentences(text[: self.characters], language)
        keywords, tags = keywords_and_tags(lines, stop, KEYWORDS, TAGS)
        return Enrichment.tidy(summarise(lines, stop), keywords, tags, self.model)

    async def close(self) -> None:
        """Nothing is open."""
