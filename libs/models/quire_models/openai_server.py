"""Any server that speaks OpenAI's `/v1/embeddings`: OpenAI itself, TEI, vLLM, Ollama and others."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI, omit
from openai.types import CreateEmbeddingResponse

from quire_models.errors import ModelError, ModelRefused, ModelUnavailable, RateLimited
from quire_models.space import Floats, Space
from quire_models.text import readable
from quire_models.vectors import blank, unit_rows

# TEI takes no more than 32 texts in a request, OpenAI no more than 2,048.
_MAX_TEXTS = 32
# OpenAI takes no more than 300,000 tokens in a request. Without the model's tokenizer a token is taken for two bytes
# of UTF-8, half of what it is in prose.
_MAX_BYTES = 400_000
_REQUESTS_AT_ONCE = 4
# Where a server limits without saying for how long.
_DEFAULT_PATIENCE_S = 10.0


class OpenAIServer:
    """Vectors of `dimensions` numbers made by the model `model` of the server at `base_url` (which ends in `/v1`).

    `request_dimensions` asks the server to shorten its vectors to `dimensions`, which some models can; otherwise they
    must have that length by nature. A request is abandoned after `timeout_s` seconds and is not repeated here: who
    calls knows better how long it can wait.

    Raises RateLimited, ModelUnavailable or ModelRefused. What a server returns for a text may differ in the last
    digits from call to call.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        dimensions: int,
        api_key: str = "none",
        request_dimensions: bool = False,
        timeout_s: float = 30.0,
    ) -> None:
        slug = re.sub(r"[^a-z0-9.]+", "-", model.lower()).strip("-")
        self.space = Space(f"openai-{slug}-{dimensions}-v1", model, dimensions, version=1)
        self._dimensions = dimensions if request_dimensions else omit
        self._client = AsyncOpenAI(base_url=base_url, api_key=api_key, timeout=timeout_s, max_retries=0)
        self._slots = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        rows = np.tile(blank(self.space.dimensions), (len(texts), 1))
        # Blank texts are not sent: OpenAI refuses a whole request for one of them.
        sent = [(row, clean) for row, text in enumerate(texts) if (clean := readable(text))]
        try:
            async with asyncio.TaskGroup() as group:
                for batch in _batches(sent):
                    group.create_task(self._fill(rows, batch))
        except* ModelError as failed:
            failure = failed
        else:
            return rows
        raise failure.exceptions[0]

    async def embed_query(self, text: str) -> Floats:
        row: Floats = (await self.embed_documents([text]))[0]
        return row

    async def close(self) -> None:
        await self._client.close()

    async def _fill(self, rows: Floats, batch: Sequence[tuple[int, str]]) -> None:
        async with self._slots:
            rows[[row for row, _ in batch]] = unit_rows(await self._request([text for _, text in batch]))

    async def _request(self, texts: list[str]) -> Floats:
        try:
            answer = await self._client.embeddings.create(
                model=self.space.model, input=texts, dimensions=self._dimensions
            )
        except APIStatusError as error:
            raise _by_status(error) from error
        except APIConnectionError as error:
            raise ModelUnavailable(str(error)) from error
        # The SDK lets these out where the body is not JSON or not of the expected shape.
        except (APIError, ValueError, TypeError, AttributeError) as error:
            raise ModelUnavailable(f"the server's answer cannot be read: {error}") from error
        return _read(answer, len(texts), self.space.dimensions)


def _read(answer: CreateEmbeddingResponse, count: int, dimensions: int) -> Floats:
    """Returns the vectors in the order of their indices, (count, dimensions); the SDK has checked no type."""
    try:
        vectors = {item.index: np.array(item.embedding, np.float32) for item in answer.data}
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"the server's answer cannot be read: {error}") from error
    if vectors.keys() != set(range(count)) or len(answer.data) != count:
        raise ModelUnavailable(f"the server answered {len(answer.data)} vectors to {count} texts")
    for vector in vectors.values():
        if not np.isfinite(vector).all():
            raise ModelUnavailable("the server answered numbers that are not finite")
        if vector.shape != (dimensions,):
            raise ModelRefused(f"the server's vectors have {vector.size} dimensions, not {dimensions}")
    return np.stack([vectors[index] for index in range(count)])


def _batches(texts: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    size = 0
    for row, text in texts:
        bytes_ = len(text.encode())
        if batch and (len(batch) == _MAX_TEXTS or size + bytes_ > _MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((row, text))
        size += bytes_
    if batch:
        yield batch


def _by_status(error: APIStatusError) -> ModelError:
    if error.status_code == 429:
        return RateLimited(error.message, _retry_after_s(error.response.headers.get("retry-after")))
    if error.status_code >= 500 or error.status_code in (408, 409, 425):
        return ModelUnavailable(error.message)
    return ModelRefused(error.message, error.status_code)


def _retry_after_s(header: str | None) -> float:
    """Reads `Retry-After`, which is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return _DEFAULT_PATIENCE_S
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return _DEFAULT_PATIENCE_S
