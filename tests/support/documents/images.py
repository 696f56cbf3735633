"""Pictures: pages of text for OCR, one far too large, and one that says where it was taken."""

import io
import struct
import textwrap
import zlib
from pathlib import Path

import reportlab  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont

# Vera travels inside reportlab's wheel, so it is there on every machine; tesseract reads it without an error.
FONT = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
LATITUDE = ((61.0, 40.0, 12.0), "N")
LONGITUDE = ((8.0, 21.0, 45.0), "E")
ORIENTATION, GPS = 0x0112, 0x8825


def png(text: str = "A page of text for the reader.", width: int = 1240, height: int = 1754) -> bytes:
    """`text` in black on a white A4 page at 150 dots an inch, wrapped at 58 characters."""
    return _encode(_page(text, width, height), "PNG")


def jpeg(text: str = "A page of text for the reader.", width: int = 1240, height: int = 1754) -> bytes:
    """The same page as `png`, in JPEG."""
    return _encode(_page(text, width, height), "JPEG")


def huge_png(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of some hundred bytes whose header declares 2.5 thousand million pixels.

    Attacks a decoder that allocates what the header says before it looks at the data.
    """
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def geotagged_jpeg(text: str = "Taken at the station.") -> bytes:
    """A JPEG turned on its side (orientation 6) that carries the coordinates it was taken at.

    Attacks the privacy of whoever uploads it: a preview must stand upright and carry neither.
    """
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[GPS] = {1: LATITUDE[1], 2: LATITUDE[0], 3: LONGITUDE[1], 4: LONGITUDE[0]}
    out = io.BytesIO()
    _page(text, 800, 600).save(out, "JPEG", exif=exif)
    return out.getvalue()


def _page(text: str, width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    lines = "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, 58) or [""])
    ImageDraw.Draw(image).multiline_text((90, 90), lines, fill="black", font=ImageFont.truetype(FONT, 28), spacing=14)
    return image


def _encode(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, dpi=(150, 150))
    return out.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
