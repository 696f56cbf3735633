"""What a content is: told from its bytes, checked against the list of what Quire takes; the file name is a hint.

Magic numbers and the names inside a zip decide. Text has no magic number, so there the name's suffix chooses among the
kinds of text. Magika is asked where that leaves doubt, to name what is refused.
"""

import re
import zlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from magika import Magika

HEAD_BYTES = 64 * 1024
"""How much of the beginning `detect` wants to see, in bytes."""

OFFICE = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
BY_MIMETYPE_ENTRY = {
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/epub+zip",
}
MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"{\\rtf", "application/rtf"),
)
LOCKED_BY_SUFFIX = {"docx": OFFICE["word/"], "xlsx": OFFICE["xl/"], "pptx": OFFICE["ppt/"]}
"""Office keeps a document with a password in a compound file; that cannot be read, but its owner is to learn why."""
TEXT_BY_SUFFIX = {
    "md": "text/markdown", "markdown": "text/markdown", "csv": "text/csv", "tsv": "text/tab-separated-values",
    "html": "text/html", "htm": "text/html", "xhtml": "text/html", "json": "application/json",
    "xml": "application/xml", "svg": "application/xml", "eml": "message/rfc822",
}  # fmt: skip
ALLOWED = frozenset(
    {"application/pdf", "image/webp", "text/plain", *OFFICE.values(), *BY_MIMETYPE_ENTRY, *TEXT_BY_SUFFIX.values()}
    | {media_type for _, media_type in MAGIC}
)
"""The media types that are accepted."""

_PDF = re.compile(rb"(?:\A|[\r\n])[\xef\xbb\xbf \t\f]*%PDF-\d")
_LOCAL, _ENTRY = b"PK\x03\x04", b"PK\x01\x02"
_BLANK = b"\xef\xbb\xbf \t\r\n\f"

ZIP = "application/zip"
UNKNOWN = "application/octet-stream"
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BOOK = "META-INF/container.xml"
_NOT_TEXT = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_MAIL_HEADER = re.compile(rb"\A(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*){2,}", re.ASCII)
_MAIL_NAMES = re.compile(rb"^(?:from|to|subject|date|message-id|received|mime-version):", re.IGNORECASE | re.MULTILINE)


def detect(head: bytes, filename: str) -> str:
    """The media type of a content that begins with `head` (up to `HEAD_BYTES`).

    `application/zip` for a zip whose beginning does not tell what it is (`detect_zip` reads its end),
    `application/octet-stream` for what is neither text nor of a known kind (`name_of_unknown` says more).
    """
    if _PDF.search(head[:1024]) or (b"%PDF-" in head[:1024] and not _is_text(head)):
        return "application/pdf"
    for magic, media_type in MAGIC:
        if head.startswith(magic):
            return media_type
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(_COMPOUND_FILE):
        return LOCKED_BY_SUFFIX.get(_suffix(filename), UNKNOWN)
    if head.startswith(_LOCAL):
        return _zip_by_local_headers(head) or ZIP
    if _is_text(head):
        return _kind_of_text(head, filename)
    return UNKNOWN


def detect_zip(tail: bytes) -> str:
    """The media type of a zip by its central directory, given its last 64 KiB or more; `application/zip` for none."""
    end = tail.rfind(b"PK\x05\x06")
    at = end - int.from_bytes(tail[end + 12 : end + 16], "little")
    if end < 0 or at < 0 or not tail.startswith(_ENTRY, at):  # it begins before the tail, or says nonsense
        at = max(0, tail.find(_ENTRY))
    names: list[str] = []
    while tail.startswith(_ENTRY, at):
        name, extra, comment = (int.from_bytes(tail[at + i : at + i + 2], "little") for i in (28, 30, 32))
        names.append(tail[at + 46 : at + 46 + name].decode("utf-8", "replace"))
        at += 46 + name + extra + comment
    return _by_names(names) or ZIP


def _zip_by_local_headers(head: bytes) -> str | None:
    """By the entries that the head holds, up to the first one whose length is written behind it."""
    names: list[str] = []
    at = 0
    while head.startswith(_LOCAL, at):
        flags, method = head[at + 6 : at + 7], int.from_bytes(head[at + 8 : at + 10], "little")
        size = int.from_bytes(head[at + 18 : at + 22], "little")
        name_length, extra = (int.from_bytes(head[at + i : at + i + 2], "little") for i in (26, 28))
        streamed = bool(flags and flags[0] & 8)
        data = at + 30 + name_length + extra
        name = head[at + 30 : at + 30 + name_length].decode("utf-8", "replace")
        if name == "mimetype":
            raw = head[data : data + 200].split(b"PK")[0] if streamed and method == 0 else head[data : data + 200]
            return _declared(raw if streamed else raw[:size], method)
        names.append(name)
        if streamed:
            break
        at = data + size
    return _by_names(names)


def _declared(raw: bytes, method: int) -> str | None:
    try:
        declared = zlib.decompressobj(-15).decompress(raw, 200) if method == 8 else raw
    except zlib.error:
        return None
    media_type = declared.decode("ascii", "replace").strip()
    return media_type if media_type in BY_MIMETYPE_ENTRY else None


def _by_names(names: list[str]) -> str | None:
    if _BOOK in names:  # a book that was zipped by hand, so that its `mimetype` is not the first entry
        return "application/epub+zip"
    return next((OFFICE[folder] for name in names for folder in OFFICE if name.startswith(folder)), None)


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return True
    sample = head.replace(b"\x00", b"") if head.count(b"\x00") * 100 < len(head) else head
    return b"\x00" not in sample and len(_NOT_TEXT.findall(sample)) * 200 <= len(sample)


def _kind_of_text(head: bytes, filename: str) -> str:
    start = head.lstrip(_BLANK)[:2048].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    if start.startswith(b"<?xml"):
        return "text/html" if b"<html" in start else "application/xml"
    by_suffix = TEXT_BY_SUFFIX.get(_suffix(filename))
    if by_suffix == "application/xml" and b"<" not in start[:4]:  # an error page saved as XML, say; UTF-16 is told too
        return "text/plain"
    if by_suffix:
        return by_suffix
    header = _MAIL_HEADER.match(head.replace(b"\r\n", b"\n")[:8192])
    if header and len(_MAIL_NAMES.findall(header.group())) >= 2:
        return "message/rfc822"
    return "text/plain"


def _suffix(filename: str) -> str:
    return filename.rsplit(".", 1)[-1].lower()


def name_of_unknown(head: bytes) -> str:
    """What Magika takes a content for that is not accepted anyway; slow the first time, so run it in a thread."""
    return str(_magika().identify_bytes(head).output.mime_type)


@cache
def _magika() -> "Magika":
    from magika import Magika

    return Magika()
