"""A multipart/form-data body as a stream of parts: nothing is spooled, a file's bytes pass through once."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from .problems import Problem

MAX_PARTS = 100
MAX_FIELD_BYTES = 64 * 1024


@dataclass
class Part:
    """One part. Read it before going on to the next."""

    name: str
    filename: str | None
    content_type: str | None
    _parts: "Parts" = field(repr=False)

    async def data(self) -> AsyncIterator[bytes]:
        """The part's bytes as they arrive."""
        async for piece in self._parts.pieces():
            yield piece

    async def text(self) -> str:
        """A small field's value; 413 where it is longer than 64 KiB, 422 where it is not UTF-8."""
        value = bytearray()
        async for piece in self.data():
            value += piece
            if len(value) > MAX_FIELD_BYTES:
                raise Problem(
                    413, "field_too_large", f"The field {self.name!r} is longer than {MAX_FIELD_BYTES} bytes."
                )
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise Problem(422, "invalid", f"The field {self.name!r} is not UTF-8.") from None


class Parts:
    """Iterates over the parts of a body. Raises 400 and 413 problems for what is not well-formed or too much."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:
            raise Problem(400, "bad_multipart", "Send multipart/form-data with a boundary.")
        self._body = body
        self._found: deque[tuple[str, Any]] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._count = 0
        self._finished = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": lambda data, start, end: self._found.append(("data", data[start:end])),
                "on_part_end": lambda: self._found.append(("end", None)),
                "on_end": self._on_end,
            },
        )

    async def __aiter__(self) -> AsyncIterator[Part]:
        while True:
            kind, value = await self._next()
            if kind == "part":
                yield value
            elif kind == "finished":
                return

    async def pieces(self) -> AsyncIterator[bytes]:
        """The data of the part at hand."""
        while True:
            kind, value = await self._next()
            if kind == "data":
                yield value
            elif kind == "end":
                return

    async def _next(self) -> tuple[str, Any]:
        while not self._found:
            if self._finished:
                return "finished", None
            try:
                chunk = await anext(self._body)
            except StopAsyncIteration:
                raise Problem(400, "bad_multipart", "The body ends before its last boundary.") from None
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise Problem(400, "bad_multipart", f"The body is not well-formed: {error}") from None
        return self._found.popleft()

    def _on_part_begin(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise Problem(413, "too_many_parts", f"A request has at most {MAX_PARTS} parts.")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise Problem(400, "bad_multipart", "A part has no Content-Disposition: form-data with a name.")
        filename = options.get(b"filename")
        content_type = self._headers.get(b"content-type")
        self._found.append(
            (
                "part",
                Part(
                    name=options[b"name"].decode("utf-8", "replace"),
                    filename=None if filename is None else filename.decode("utf-8", "replace"),
                    content_type=None if content_type is None else content_type.decode("latin-1"),
                    _parts=self,
                ),
            )
        )

    def _on_end(self) -> None:
        self._finished = True
