"""Extraction of text: one module for each family of formats, and the registry of which media type is whose."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from . import html, image, mail, office, pdf, plain, slides, xml
from .result import Extraction, Limits, Source, Unreadable

__all__ = ["FAMILIES", "Extraction", "Family", "Limits", "Source", "Unreadable", "family_of"]

_OFFICE = "application/vnd.openxmlformats-officedocument"


@dataclass(frozen=True, slots=True)
class Family:
    """How documents of some media types are read; `picture` renders a page for OCR, where pages can be scans."""

    extract: Callable[[Source], Extraction]
    picture: Callable[[Source, int], Image.Image] | None = None


_PLAIN, _JSON = Family(plain.extract), Family(plain.extract_json)
_XML, _HTML = Family(xml.extract), Family(html.extract)
_PACKAGE = Family(office.extract_package)
_PICTURE = Family(image.extract, image.picture)

FAMILIES: dict[str, Family] = {
    "application/pdf": Family(pdf.extract, pdf.picture),
    f"{_OFFICE}.wordprocessingml.document": Family(office.extract_word),
    f"{_OFFICE}.spreadsheetml.sheet": Family(office.extract_workbook),
    f"{_OFFICE}.presentationml.presentation": Family(slides.extract),
    "application/vnd.oasis.opendocument.text": _PACKAGE,
    "application/vnd.oasis.opendocument.spreadsheet": Family(office.extract_workbook),
    "application/vnd.oasis.opendocument.presentation": Family(slides.extract_open_document),
    "application/epub+zip": _PACKAGE,
    "application/rtf": Family(office.extract),
    "text/rtf": Family(office.extract),
    "message/rfc822": Family(mail.extract),
    "text/html": _HTML,
    "application/xhtml+xml": _HTML,
    "application/xml": _XML,
    "text/xml": _XML,
    "image/svg+xml": _XML,
    "application/json": _JSON,
    "application/x-ndjson": _PLAIN,
    "image/png": _PICTURE,
    "image/jpeg": _PICTURE,
    "image/tiff": _PICTURE,
    "image/webp": _PICTURE,
}


def family_of(media_type: str) -> Family:
    """The family of a media type; any other text is plain text. Raises `Unreadable` where nobody reads the type."""
    essence = media_type.partition(";")[0].strip().lower()
    if family := FAMILIES.get(essence):
        return family
    if essence.startswith("text/"):
        return _PLAIN
    raise Unreadable("unsupported", f"No text can be read from {essence or 'an unknown type'}.")
