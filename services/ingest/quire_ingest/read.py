"""What the worker runs in the sandbox, in the job's directory: `begin`, `read_page` for scanned pages, `finish`.

The document lies there as `content`. Most documents need `begin` alone. The text (pages joined by form feeds) and the
chunks come back in the outcome while they are small, and otherwise lie as files: `text` in UTF-8, and `chunks.json`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NotRequired, TypedDict

from pydantic import TypeAdapter

from quire_contracts import Chunk
from quire_contracts.blob import INLINE_LIMIT
from quire_runtime.errors import Permanent

from . import chunk, language
from .clean import clean
from .extract import Extraction, Limits, Source, Unreadable, family_of
from .ocr import Tesseract

CONTENT, TEXT, CHUNKS = "content", "text", "chunks.json"
_EXTRACTION = "extraction.json"

_chunks = TypeAdapter(list[Chunk])


class Outcome(TypedDict):
    """`scanned`: pages still to be read by `read_page` before `finish`; nothing else is set while there are any.

    `text` and `chunks` (JSON of a list of chunks) are set together, where neither is longer than `INLINE_LIMIT` bytes.
    """

    scanned: list[int]
    characters: NotRequired[int]
    page_count: NotRequired[int | None]
    language: NotRequired[str | None]
    truncated: NotRequired[bool]
    ocr: NotRequired[bool]
    text: NotRequired[str]
    chunks: NotRequired[str]


def begin(media_type: str, limits: Mapping[str, int], ocr: bool) -> Outcome:
    """Reads all but scanned pages, and finishes where there are none. Raises `Permanent` for what cannot be read."""
    source = _source(media_type, limits)
    with _verdicts():
        extraction = family_of(media_type).extract(source)
    if extraction.scanned and ocr:
        Path(_EXTRACTION).write_text(json.dumps(asdict(extraction)))
        return {"scanned": extraction.scanned}
    if extraction.scanned and not any(map(str.strip, extraction.pages)):
        raise Permanent("ocr_unavailable", "The document is a scan, and no text recognition is installed.")
    extraction.cut |= bool(extraction.scanned)
    return _finish(extraction, source.limits, ocr=False)


def read_page(media_type: str, limits: Mapping[str, int], number: int, tesseract: Mapping[str, str]) -> None:
    """Recognises the text of one page, from 1, for `finish` to find."""
    picture = family_of(media_type).picture
    if picture is None:
        raise ValueError(f"{media_type} has no pictures of pages")
    with _verdicts():
        image = picture(_source(media_type, limits), number)
    _page_file(number).write_text(Tesseract(**tesseract).read(image), encoding="utf-8")


def finish(limits: Mapping[str, int]) -> Outcome:
    """Puts the recognised pages among the others. A scanned page that was not read leaves the text incomplete."""
    extraction = Extraction(**json.loads(Path(_EXTRACTION).read_text()))
    for number in extraction.scanned:
        if not _page_file(number).exists():
            extraction.cut = True
            continue
        recognised = _page_file(number).read_text(encoding="utf-8")
        if len(recognised) > len(extraction.pages[number - 1]):
            extraction.pages[number - 1] = recognised
    return _finish(extraction, Limits(**limits), ocr=True)


def _finish(extraction: Extraction, limits: Limits, *, ocr: bool) -> Outcome:
    pages, cut = _within([clean(page) for page in extraction.pages], limits.characters)
    chunks, more = chunk.chunks_of(pages, paged=extraction.paged, limit=limits.chunks)
    text = chunk.PAGE_BREAK.join(pages)
    text_bytes, chunks_json = text.encode(), _chunks.dump_json(chunks)
    outcome: Outcome = {
        "scanned": [],
        "characters": len(text),
        "page_count": extraction.page_count,
        "language": language.detect(text),
        "truncated": extraction.cut or cut or more,
        "ocr": ocr,
    }
    if max(len(text_bytes), len(chunks_json)) <= INLINE_LIMIT:
        return {**outcome, "text": text, "chunks": chunks_json.decode()}
    Path(TEXT).write_bytes(text_bytes)
    Path(CHUNKS).write_bytes(chunks_json)
    return outcome


def _within(pages: list[str], limit: int) -> tuple[list[str], bool]:
    """The pages that fit into `limit` characters with the breaks between them, the last one cut to fit."""
    kept: list[str] = []
    left = limit
    for page in pages:
        if len(page) > left:
            return [*kept, page[:left].rstrip()], True
        kept.append(page)
        left -= len(page) + len(chunk.PAGE_BREAK)
        if left < 0:
            return kept, len(kept) < len(pages)
    return kept, False


def _source(media_type: str, limits: Mapping[str, int]) -> Source:
    return Source(path=Path(CONTENT), media_type=media_type, limits=Limits(**limits))


def _page_file(number: int) -> Path:
    return Path(f"page-{number}.txt")


@contextmanager
def _verdicts() -> Iterator[None]:
    """Extraction knows nothing of the runtime: here what it cannot read becomes the runtime's verdict."""
    try:
        yield
    except Unreadable as refused:
        raise Permanent(refused.reason, refused.detail) from None
