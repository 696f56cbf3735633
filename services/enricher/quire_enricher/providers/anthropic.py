"""Claude, through Anthropic's Messages API with structured output."""

import asyncio

from anthropic import APIStatusError, AsyncAnthropic

from quire_enricher.enrichment import Enrichment
from quire_runtime.errors import Permanent

from .prompt import ANSWER_TOKENS, SCHEMA, SYSTEM, question, read_answer
from .refusals import REFUSED, outcome_of


class AnthropicProvider:
    """One request for a document, within `timeout_s` in all; the broker repeats what failed, not this class."""

    name = "anthropic"
    paid = True

    def __init__(self, *, api_key: str, model: str, base_url: str, timeout_s: float, characters: int) -> None:
        self.model = model
        self.characters = characters
        self._timeout_s = timeout_s
        self._client = AsyncAnthropic(api_key=api_key, base_url=base_url, max_retries=0)

    async def enrich(self, text: str, language: str | None) -> Enrichment:
        """See `Provider.enrich`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.messages.create(
                    model=self.model,
                    max_tokens=ANSWER_TOKENS,
                    system=SYSTEM,
                    messages=[{"role": "user", "content": question(text[: self.characters], language)}],
                    output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
                )
        except APIStatusError as error:
            raise outcome_of(error) from error
        if answer.stop_reason == "refusal":
            raise Permanent(REFUSED, f"{self.model} declined to describe the document")
        if answer.stop_reason == "max_tokens":
            raise Permanent("limit", f"the answer of {self.model} did not end within {ANSWER_TOKENS} tokens")
        return read_answer("".join(block.text for block in answer.content if block.type == "text"), self.model)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
