"""A document as pictures: one module for each family of formats, pure, run inside a sandboxed child process."""

from pathlib import Path

from . import image, office, pdf, text, typeset, webp
from .families import base_type, family_of
from .refusal import Refusal

__all__ = ["Refusal", "render"]


def render(
    source: Path, folder: Path, media_type: str, *, pages: int, soffice: str | None = None
) -> tuple[webp.Picture, list[webp.Picture], int | None]:
    """Write the pictures of a document into `folder`: its thumbnail, its first `pages` pages, and how many it has.

    With 0 `pages` there is the thumbnail alone. The number of pages is None where only as much was laid out as is
    shown. `soffice` is LibreOffice's program, needed for the office family. Raises `Refusal`, and ValueError for a type
    that no family takes.
    """
    media_type, drawn = base_type(media_type), max(1, pages)
    count: int | None
    match family_of(media_type):
        case "pdf":
            count, found = pdf.pages(source, drawn)
        case "image":
            count, found = image.pages(source, drawn)
        case "text":
            blocks, more = text.blocks(source, media_type, drawn)
            count, found = pdf.pages(typeset.pdf(blocks, folder), drawn)
            count = None if more else count
        case "office" if soffice is not None:
            count, found = office.pages(source, media_type, drawn, folder, soffice)
        case _:
            raise ValueError(f"{media_type} cannot be rendered")
    thumbnail, written = webp.write(found, folder, pages)
    return thumbnail, written, count
