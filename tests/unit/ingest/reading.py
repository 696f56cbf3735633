"""Reading a document's bytes in this process, as the worker does in the sandbox."""

from pathlib import Path

from quire_ingest.extract import Extraction, Limits, Source, family_of

_OFFICE = "application/vnd.openxmlformats-officedocument"
DOCX = f"{_OFFICE}.wordprocessingml.document"
XLSX = f"{_OFFICE}.spreadsheetml.sheet"
PPTX = f"{_OFFICE}.presentationml.presentation"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
EPUB = "application/epub+zip"
PDF = "application/pdf"


def read(folder: Path, content: bytes, media_type: str, limits: Limits | None = None) -> Extraction:
    """What the family of `media_type` makes of `content`."""
    path = folder / "content"
    path.write_bytes(content)
    return family_of(media_type).extract(Source(path=path, media_type=media_type, limits=limits or Limits()))


def text_of(folder: Path, content: bytes, media_type: str) -> str:
    """The pages one below the other."""
    return "\n".join(read(folder, content, media_type).pages)
