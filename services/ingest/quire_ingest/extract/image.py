"""Pictures: their size is read from the header first, their text is for OCR. A TIFF may have many pages."""

from PIL import Image, ImageOps, UnidentifiedImageError

from .result import Extraction, Source, Unreadable

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/tiff": "TIFF", "image/webp": "WEBP"}
_OCR_PIXELS = 20_000_000


def extract(source: Source) -> Extraction:
    """As many scanned pages as the picture has frames; nothing is decoded."""
    with _open(source) as image:
        count = 1 if image.format != "TIFF" else getattr(image, "n_frames", 1)
    if count > source.limits.pages:
        raise Unreadable("limit", f"The picture has {count} pages; {source.limits.pages} are allowed.")
    return Extraction(pages=[""] * count, paged=True, page_count=count, scanned=list(range(1, count + 1)))


def picture(source: Source, number: int) -> Image.Image:
    """Page `number` (from 1) upright, in shades of grey, on white where it is transparent."""
    with _open(source) as image:
        try:
            image.seek(number - 1)
            _check_size(image, source)
            image.draft("L", (5_000, 5_000))
            upright = ImageOps.exif_transpose(image)
            dpi = image.info.get("dpi")
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise Unreadable("corrupt", f"The picture is damaged: {error}.") from None
    if upright.mode in ("LA", "PA", "RGBA") or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    grey = upright.convert("L")
    factor = (_OCR_PIXELS / max(grey.width * grey.height, 1)) ** 0.5
    if factor < 1:
        grey = grey.resize((max(int(grey.width * factor), 1), max(int(grey.height * factor), 1)))
    elif dpi:
        grey.info["dpi"] = dpi
    return grey


def _open(source: Source) -> Image.Image:
    try:
        image = Image.open(source.path, formats=[_FORMATS[source.media_type]])
    except Image.DecompressionBombError:
        raise _too_large(source) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise Unreadable("corrupt", f"The picture cannot be opened: {error}.") from None
    _check_size(image, source)
    return image


def _check_size(image: Image.Image, source: Source) -> None:
    if image.width * image.height > source.limits.pixels:
        raise _too_large(source)


def _too_large(source: Source) -> Unreadable:
    return Unreadable("limit", f"The picture has more than the {source.limits.pixels} pixels that are allowed.")
