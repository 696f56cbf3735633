"""PDF by pdfium, page by page: the text layer, and the picture of a page for OCR where it has none worth reading."""

import pypdfium2  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium  # type: ignore[import-untyped]
from PIL import Image

from .result import Extraction, Source, Unreadable

_FEW_LETTERS = 20
"""A page with a picture and fewer letters than this in its text layer is a scan with a stamp or a page number on it."""
_MOST_GARBAGE = 0.3
_OCR_DPI = 300
_OCR_PIXELS = 20_000_000
_POINTS_PER_INCH = 72


def extract(source: Source) -> Extraction:
    """The text layer of each page; pages that show something but have no text layer are `scanned`."""
    document = _open(source)
    count = len(document)
    if count > source.limits.pages:
        raise Unreadable("limit", f"The document has {count} pages; {source.limits.pages} are allowed.")
    found = Extraction(pages=[], paged=True, page_count=count)
    left = source.limits.characters
    for number in range(1, count + 1):
        text, scanned = _read(document, number)
        found.pages.append(text)
        if scanned:
            found.scanned.append(number)
        left -= len(text)
        if left <= 0:
            found.cut = True
            break
    document.close()
    return found


def picture(source: Source, number: int) -> Image.Image:
    """Page `number` (from 1) in shades of grey, at the resolution OCR reads best."""
    document = _open(source)
    page = document[number - 1]
    width, height = page.get_size()
    pixels = width * height * (_OCR_DPI / _POINTS_PER_INCH) ** 2
    scale = _OCR_DPI / _POINTS_PER_INCH * min(1.0, (_OCR_PIXELS / max(pixels, 1.0)) ** 0.5)
    image: Image.Image = page.render(scale=scale, grayscale=True).to_pil().copy()
    document.close()
    image.info["dpi"] = (scale * _POINTS_PER_INCH,) * 2
    return image


def _open(source: Source) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(source.path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise Unreadable("encrypted", "The document is protected by a password.") from None
        raise Unreadable(
            "corrupt", f"The PDF cannot be opened; it is damaged or incomplete ({_said(error)})."
        ) from None


def _said(error: pypdfium2.PdfiumError) -> str:
    """Pdfium's own words, without those of the binding around them."""
    return str(error).partition("PDFium: ")[2].rstrip(".)") or str(error).rstrip(".")


def _read(document: pypdfium2.PdfDocument, number: int) -> tuple[str, bool]:
    """The text layer of a page, and whether the page has to be read from its picture instead."""
    try:
        page = document[number - 1]
        layer = page.get_textpage()
    except pypdfium2.PdfiumError:
        return "", False  # one broken page among others
    try:
        text = layer.get_text_bounded()
        seen = text[:10_000]
        letters = sum(map(str.isalnum, seen))
        if letters >= _FEW_LETTERS and _garbage(seen) < _MOST_GARBAGE:
            return text, False
        kinds = {shape.type for shape in page.get_objects(max_depth=4)}
        scanned = pdfium.FPDF_PAGEOBJ_IMAGE in kinds or bool(kinds and not letters)
        return text, scanned or _garbage(seen) >= _MOST_GARBAGE
    finally:
        layer.close()
        page.close()


def _garbage(text: str) -> float:
    """Share of characters that a font without a character map leaves behind: unknown, private use, control."""
    shown = [char for char in text if not char.isspace()]
    bad = sum(char == "\ufffd" or "\ue000" <= char <= "\uf8ff" or char < " " for char in shown)
    return bad / len(shown) if shown else 0.0
