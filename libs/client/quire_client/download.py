"""Downloads to a file: under a temporary name until complete, and going on where one broke off."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import httpx

from .body import Progress
from .errors import QuireError, Unreachable
from .transport import BROKEN, Transport

PIECE = 256 * 1024


class Damaged(QuireError):
    """What arrived is not what the catalog has, by its SHA-256."""

    def __init__(self, path: Path) -> None:
        super().__init__(0, "damaged", f"The download of {path.name} does not have the SHA-256 of the document.")


async def download(
    transport: Transport, document: str, sha256: str, path: Path, progress: Progress | None = None
) -> None:
    """Download a document's content to `path`, replacing what is there.

    It grows as `.NAME.SHA.part` beside it, which a later call goes on with. Raises Damaged, Unreachable where no
    byte arrived for the transport's patience, QuireError and OSError.
    """
    part = path.with_name(f".{path.name}.{sha256[:16]}.part")
    advanced = time.monotonic()
    while True:
        before = _size(part)
        try:
            await _continue(transport, document, part, progress)
            break
        except BROKEN as error:
            if _size(part) != before:
                advanced = time.monotonic()
            elif time.monotonic() - advanced > transport.patience:
                raise Unreachable(transport.url, error) from error
        except QuireError as error:
            if error.status != 416:
                raise
            if await asyncio.to_thread(_sha256, part) == sha256:
                break
            part.unlink()
    if await asyncio.to_thread(_sha256, part) != sha256:
        part.unlink()
        raise Damaged(path)
    part.replace(path)


async def _continue(transport: Transport, document: str, part: Path, progress: Progress | None) -> None:
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}

    def build() -> httpx.Request:
        return transport.client.build_request("GET", f"documents/{document}/content", headers=headers)

    async with transport.stream(build) as response:
        goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(f"bytes {have}-")
        received = have if goes_on else 0
        length = response.headers.get("content-length")
        total = received + int(length) if length else None
        with await asyncio.to_thread(part.open, "ab" if goes_on else "wb") as file:
            async for piece in response.aiter_bytes(PIECE):
                await asyncio.to_thread(file.write, piece)
                received += len(piece)
                if progress:
                    progress(received, total)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    digest: Any = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1024 * 1024):
            digest.update(piece)
    return str(digest.hexdigest())
