"""Which way a media type is rendered; a type that is in none of these families has no preview."""

from typing import Literal

from . import text

Family = Literal["pdf", "image", "text", "office"]

PDF = frozenset({"application/pdf", "application/x-pdf"})

IMAGES = frozenset(
    {
        "image/png", "image/apng", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/tiff", "image/bmp",
        "image/x-ms-bmp", "image/avif", "image/vnd.microsoft.icon", "image/x-icon",
    }
)  # fmt: skip

_OPEN_XML = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"

OFFICE = {
    f"{_OPEN_XML}.wordprocessingml.document": "docx",
    f"{_OPEN_XML}.wordprocessingml.template": "dotx",
    f"{_OPEN_XML}.spreadsheetml.sheet": "xlsx",
    f"{_OPEN_XML}.spreadsheetml.template": "xltx",
    f"{_OPEN_XML}.presentationml.presentation": "pptx",
    f"{_OPEN_XML}.presentationml.slideshow": "ppsx",
    f"{_OPEN_XML}.presentationml.template": "potx",
    f"{_OPEN_DOCUMENT}.text": "odt",
    f"{_OPEN_DOCUMENT}.text-template": "ott",
    f"{_OPEN_DOCUMENT}.spreadsheet": "ods",
    f"{_OPEN_DOCUMENT}.spreadsheet-template": "ots",
    f"{_OPEN_DOCUMENT}.presentation": "odp",
    f"{_OPEN_DOCUMENT}.presentation-template": "otp",
    f"{_OPEN_DOCUMENT}.graphics": "odg",
    f"{_OPEN_DOCUMENT}.text-flat-xml": "fodt",
    f"{_OPEN_DOCUMENT}.spreadsheet-flat-xml": "fods",
    f"{_OPEN_DOCUMENT}.presentation-flat-xml": "fodp",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.ms-word.document.macroenabled.12": "docm",
    "application/vnd.ms-excel.sheet.macroenabled.12": "xlsm",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": "xlsb",
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": "pptm",
    "application/rtf": "rtf",
    "text/rtf": "rtf",
}
"""The office types, with the ending that tells LibreOffice what a file is."""

_TEXT = frozenset({*text.LANGUAGES, *text.HTML, *text.TABLES, *text.MAIL})


def base_type(media_type: str) -> str:
    """A media type without parameters, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def family_of(media_type: str) -> Family | None:
    """The family of a media type, given without parameters; none where there is no picture to be had."""
    if media_type in PDF:
        return "pdf"
    if media_type in IMAGES:
        return "image"
    if media_type in OFFICE:
        return "office"
    if media_type in _TEXT or media_type.startswith("text/") or media_type.endswith(("+json", "+xml")):
        return "text"
    return None
