"""Text of every kind as blocks to typeset, each only as far as pages are wanted."""

import codecs
import json
from pathlib import Path

import charset_normalizer

from . import csvtable, html, mail, markdown
from .blocks import CHARACTERS_PER_PAGE, LINES_PER_PAGE, Block, code, cut

MARKUP_BYTES = 4 * 1024**2
"""Bytes of HTML or mail that are read: markup, styles and attachments take many for each character that is shown."""

LANGUAGES = {
    "application/json": "json",
    "application/ld+json": "json",
    "application/x-ndjson": "json",
    "application/javascript": "js",
    "application/sql": "sql",
    "application/toml": "toml",
    "application/xml": "xml",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "application/x-sh": "bash",
    "image/svg+xml": "xml",
    "text/css": "css",
    "text/javascript": "js",
    "text/x-c": "c",
    "text/x-c++": "cpp",
    "text/x-go": "go",
    "text/x-java": "java",
    "text/x-python": "python",
    "text/x-rust": "rust",
    "text/x-tex": "tex",
    "text/xml": "xml",
    "text/yaml": "yaml",
    "text/x-yaml": "yaml",
}
"""How the code of a media type is coloured."""

MARKDOWN = ("text/markdown", "text/x-markdown")
HTML = ("text/html", "application/xhtml+xml")
TABLES = {"text/csv": None, "application/csv": None, "text/tab-separated-values": "\t"}
MAIL = ("message/rfc822",)


def blocks(source: Path, media_type: str, pages: int) -> tuple[list[Block], bool]:
    """As much of the text as could fill the pages, and whether there is more."""
    room = pages * CHARACTERS_PER_PAGE
    if media_type in MAIL:
        raw, more = _read(source, MARKUP_BYTES)
        found, longer = cut(mail.blocks(raw), pages)
        return found, more or longer
    if media_type in HTML:
        raw, more = _read(source, MARKUP_BYTES)
        found, longer = cut(html.blocks(decode(raw)), pages)
        return found, more or longer
    raw, more = _read(source, 4 * room)
    text = decode(raw)
    if media_type in MARKDOWN:
        found, longer = cut(markdown.blocks(text[:room]), pages)
        return found, more or longer or len(text) > room
    if media_type in TABLES:
        rows, longer = csvtable.rows(text, TABLES[media_type], pages)
        return [rows] if rows else [], more or longer
    if media_type == "application/json" and not more:
        text = _indented(text)
    lines = text[:room].splitlines()
    shown = "\n".join(lines[: pages * LINES_PER_PAGE])
    longer = len(text) > room or len(lines) > pages * LINES_PER_PAGE
    return [code(shown, LANGUAGES.get(media_type))] if shown.strip() else [], more or longer


def needed_bytes(pages: int) -> int:
    """How much of a text file is read for so many pages; one byte more tells whether there is more."""
    return max(MARKUP_BYTES, 4 * CHARACTERS_PER_PAGE * pages) + 1


def decode(raw: bytes) -> str:
    """Text of unknown encoding: a byte-order mark decides, then UTF-8 if it is that, then the likeliest other one."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if raw.startswith(mark):
            return raw.decode(encoding, "replace").lstrip("\ufeff")
    try:
        # A decoder that waits for more does not stumble over a character that was cut in two by reading only the start.
        return codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError as error:
        broken = error
    best = charset_normalizer.from_bytes(raw[:65_536]).best()
    # A few bad bytes in what is UTF-8 otherwise do not make it something else.
    if best is None or not raw[: broken.start].isascii():
        return raw.decode("utf-8", "replace")
    return raw.decode(best.encoding, "replace")


def _read(source: Path, size: int) -> tuple[bytes, bool]:
    with source.open("rb") as file:
        raw = file.read(size)
        return raw, bool(file.read(1))


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
