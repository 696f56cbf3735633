"""OpenAI, or any server with its chat completions and JSON Schema answers: Ollama, vLLM, LM Studio and others."""

import asyncio

from openai import APIStatusError, AsyncOpenAI

from quire_enricher.enrichment import Enrichment
from quire_runtime.errors import Permanent

from .prompt import ANSWER_TOKENS, SCHEMA, SYSTEM, MalformedAnswer, question, read_answer
from .refusals import REFUSED, outcome_of


class OpenAIProvider:
    """One request for a document, within `timeout_s` in all; the broker repeats what failed, not this class."""

    name = "openai"
    paid = True

    def __init__(self, *, api_key: str, model: str, base_url: str, timeout_s: float, characters: int) -> None:
        self.model = model
        self.characters = characters
        self._timeout_s = timeout_s
        self._client = AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0)

    async def enrich(self, text: str, language: str | None) -> Enrichment:
        """See `Provider.enrich`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.chat.completions.create(
                    model=self.model,
                    max_completion_tokens=ANSWER_TOKENS,
                    messages=[
                        {"role": "system", "content": SYSTEM},
                        {"role": "user", "content": question(text[: self.characters], language)},
                    ],
                    response_format={
                        "type": "json_schema",
                        "json_schema": {"name": "enrichment", "schema": SCHEMA, "strict": True},
                    },
                )
        except APIStatusError as error:
            raise outcome_of(error) from error
        if not answer.choices:
            raise MalformedAnswer(f"{self.model}: no choices")
        choice = answer.choices[0]
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            raise Permanent(REFUSED, f"{self.model} declined to describe the document")
        if choice.finish_reason == "length":
            raise Permanent("limit", f"the answer of {self.model} did not end within {ANSWER_TOKENS} tokens")
        return read_answer(choice.message.content, self.model)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
