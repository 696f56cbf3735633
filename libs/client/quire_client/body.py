"""The multipart body of an upload, as a stream: a file is read piece by piece while it is sent."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import BinaryIO

Source = str | os.PathLike[str] | bytes | BinaryIO | AsyncIterable[bytes]
Progress = Callable[[int, int | None], None]
"""Called with the bytes that went through so far, and how many there are where that is known."""

PIECE = 256 * 1024


class Content:
    """The bytes of an upload: a path, bytes, an open binary file, or an asynchronous iterable.

    `size` is None where it shows only at the end; what is not `repeatable` can be sent once.
    """

    def __init__(self, source: Source, filename: str | None = None) -> None:
        self._source = source
        self._begin = 0
        self.size: int | None = None
        self.repeatable = True
        named: object = None
        if isinstance(source, str | os.PathLike):
            self._source = path = Path(source)
            self.size, named = path.stat().st_size, path.name
        elif isinstance(source, bytes):
            self.size = len(source)
        elif isinstance(source, AsyncIterable):
            self.repeatable = False
        else:
            named = getattr(source, "name", None)
            self.repeatable = source.seekable()
            if self.repeatable:
                self._begin = source.tell()
                self.size = source.seek(0, os.SEEK_END) - self._begin
        self.filename = filename or (Path(named).name if isinstance(named, str) else "upload")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes from the beginning, at most 256 KiB at a time (an iterable's pieces as they come)."""
        source = self._source
        if isinstance(source, bytes):
            for start in range(0, len(source), PIECE):
                yield source[start : start + PIECE]
        elif isinstance(source, Path):
            with await asyncio.to_thread(source.open, "rb") as file:
                while piece := await asyncio.to_thread(file.read, PIECE):
                    yield piece
        elif isinstance(source, AsyncIterable):
            async for piece in source:
                yield piece
        else:
            assert not isinstance(source, str | os.PathLike)
            if self.repeatable:
                await asyncio.to_thread(source.seek, self._begin)
            while piece := await asyncio.to_thread(source.read, PIECE):
                yield piece


class Body:
    """A multipart/form-data body: the fields first, then the content as the part `file`."""

    def __init__(self, content: Content, fields: Sequence[tuple[str, str]], progress: Progress | None = None) -> None:
        self._content = content
        self._progress = progress
        boundary = secrets.token_hex(16)
        head = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
        ]
        head.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(content.filename)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = "".join(head).encode("utf-8", "surrogateescape")
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if content.size is not None:
            self.headers["Content-Length"] = str(len(self._head) + content.size + len(self._tail))

    async def stream(self) -> AsyncIterator[bytes]:
        """The body. Raises OSError where the content turns out to have another size than it had."""
        yield self._head
        sent, size = 0, self._content.size
        async for piece in self._content.pieces():
            sent += len(piece)
            if size is not None and sent > size:
                break
            yield piece
            if self._progress:
                self._progress(sent, size)
        if size is not None and sent != size:
            raise OSError(f"{self._content.filename} changed while it was being sent")
        yield self._tail


def _quoted(filename: str) -> str:
    """As browsers write a file name in a part's header."""
    return filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
