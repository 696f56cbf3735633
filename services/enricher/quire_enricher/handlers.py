"""What the enricher does with the one event it takes."""

import codecs

from pydantic import ValidationError

from quire_contracts import DocumentEnriched, DocumentEnrichedData, TextExtracted
from quire_contracts.keys import enrichment_key
from quire_runtime.storage import ObjectNotFound, Store

from .enrichment import Enrichment, Provider


class Handlers:
    """Enriches documents with one provider."""

    def __init__(self, store: Store, provider: Provider) -> None:
        self._store = store
        self._provider = provider

    async def on_text_extracted(self, event: TextExtracted) -> DocumentEnriched:
        """Enrich a document; one without text gets an empty enrichment.

        Raises what the provider raises (see `Provider.enrich`), and `ObjectNotFound` where the text is gone.
        """
        found = await self._kept(event) or await self._enrich(event)
        return DocumentEnriched.follow(
            event,
            DocumentEnrichedData(
                revision=event.data.revision,
                summary=found.summary,
                keywords=found.keywords,
                tags=found.tags,
                provider=self._provider.name,
                model=found.model,
            ),
        )

    async def _enrich(self, event: TextExtracted) -> Enrichment:
        text = await self._beginning(event) if event.data.characters else ""
        if not text.strip():
            return Enrichment(summary="", keywords=[], tags=[], model=self._provider.model)
        made = await self._provider.enrich(text, event.data.language)
        if self._provider.paid:
            await self._store.put(enrichment_key(event, self._provider.name), made.model_dump_json().encode())
        return made

    async def _kept(self, event: TextExtracted) -> Enrichment | None:
        """What the provider's model was paid for before; another model is asked anew."""
        if not self._provider.paid or not event.data.characters:
            return None
        try:
            kept = Enrichment.model_validate_json(await self._store.get(enrichment_key(event, self._provider.name)))
        except (ObjectNotFound, ValidationError):
            return None
        return kept if kept.model == self._provider.model else None

    async def _beginning(self, event: TextExtracted) -> str:
        """As many characters of the text as the provider reads, without fetching the rest of a large object."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        wanted = self._provider.characters
        pieces = [decoder.decode(piece) async for piece in self._store.stream(event.data.text_key, end=wanted * 4)]
        return "".join(pieces)[:wanted]
