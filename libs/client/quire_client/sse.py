"""Server-sent events: a stream of bytes as messages."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True)
class Message:
    """What arrived up to an empty line; `data` is None where it only moved `id` on or asked for another `retry`."""

    id: str
    """The last id that was seen, also in an earlier message."""
    event: str
    data: str | None
    retry_ms: int | None = None


async def messages(chunks: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    """Messages as the HTML standard parses them. A message without its empty line at the end is dropped.

    Lines end at CR and LF alone: a line separator inside of JSON is text, which is why `aiter_lines` is not used.
    """
    last_id, event, retry = "", "", None
    data: list[str] = []
    news = False
    async for line in _lines(chunks):
        if not line:
            if data or news:
                yield Message(last_id, event or "message", "\n".join(data) if data else None, retry)
            event, retry, news = "", None, False
            data = []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            last_id, news = value, True
        elif name == "retry" and value.isascii() and value.isdigit():
            retry, news = int(value), True


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    rest = b""
    async for chunk in chunks:
        rest += chunk
        held = rest.endswith(b"\r")  # its LF may be in the next chunk
        *complete, rest = _LINE_END.split(rest[:-1] if held else rest)
        if held:
            rest += b"\r"
        for line in complete:
            yield line.decode("utf-8", "replace")
