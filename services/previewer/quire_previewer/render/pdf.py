"""PDF pages as pictures, by PDFium."""

from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium_c  # type: ignore[import-untyped]
from PIL import Image

from .refusal import Refusal
from .webp import PAGE_BOX

Pages = Iterator[tuple[int, Image.Image]]


def pages(source: Path | bytes, first: int) -> tuple[int, Pages]:
    """How many pages there are, and the first `first` of them: numbers from 1 with RGB images as wide as `PAGE_BOX`.

    A damaged page is left out where the first one is whole. Raises `Refusal`: encrypted, corrupt.
    """
    try:
        document = pdfium.PdfDocument(source)
    except pdfium.PdfiumError as error:
        if error.err_code == pdfium_c.FPDF_ERR_PASSWORD:
            raise Refusal("encrypted", "This PDF opens only with its password.") from None
        said = str(error).partition("PDFium: ")[2].rstrip(".)") or str(error)
        raise Refusal("corrupt", f"This PDF cannot be opened; it is damaged or incomplete ({said}).") from None
    count = len(document)
    if count == 0:
        raise Refusal("corrupt", "This PDF has no pages.")
    if document.get_formtype() != pdfium_c.FORMTYPE_NONE:
        document.init_forms()  # without it, what was filled into a form stays invisible
    return count, _render(document, min(count, first))


def _render(document: pdfium.PdfDocument, count: int) -> Pages:
    for index in range(count):
        try:
            page = document[index]
            width, height = page.get_size()
            if not (width > 0 and height > 0):
                raise pdfium.PdfiumError("the page has no area")
            # The renderer rounds sizes up; the hair less keeps 1,200 from becoming 1,201.
            scale = min(PAGE_BOX[0] / width, PAGE_BOX[1] / height) * (1 - 1e-6)
            image = page.render(scale=scale, rev_byteorder=True).to_pil()
        except pdfium.PdfiumError as error:
            if index == 0:
                raise Refusal("corrupt", f"The first page of this PDF cannot be drawn: {error}") from None
            continue
        yield index + 1, image if image.mode == "RGB" else image.convert("RGB")
        page.close()
