"""Pictures as plain pictures: turned upright, in sRGB, without anything else that they carried."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import ExifTags, Image, ImageCms

from .refusal import Refusal
from .webp import PAGE_BOX, fit

MAX_PIXELS = 100_000_000
"""Pixels of one picture that are decoded: 400 MB of memory at four bytes each."""

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "ICO")

DAMAGE = (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, struct.error)
"""What Pillow raises on damaged files; MemoryError is not among them."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation; from 5 on, width and height change places."""

Image.MAX_IMAGE_PIXELS = None  # `MAX_PIXELS` is checked here, and says so in a sentence


def pages(source: Path, first: int) -> tuple[int, Iterator[tuple[int, Image.Image]]]:
    """How many pages there are, and the first `first` of them: numbers from 1 with RGB images that fit `PAGE_BOX`.

    Only a TIFF has several; of an animation the first frame is shown. Raises `Refusal`: corrupt, limit.
    """
    try:
        image = Image.open(source, formats=FORMATS)
        count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    except DAMAGE as error:
        raise Refusal("corrupt", f"This picture cannot be read: {error}".replace(str(source), "file")) from None
    return count, _render(image, min(count, first))


def _render(image: Image.Image, count: int) -> Iterator[tuple[int, Image.Image]]:
    for index in range(count):
        try:
            image.seek(index)
            _check_size(image)
            yield index + 1, _upright(image)
        except DAMAGE as error:
            if index == 0:
                raise Refusal("corrupt", f"This picture cannot be decoded: {error}") from None


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Refusal("limit", f"This picture has {width} × {height} pixels; at most {MAX_PIXELS:,} are decoded.")


def _upright(image: Image.Image) -> Image.Image:
    """One frame as RGB, no larger than `PAGE_BOX`, turned as its EXIF says."""
    # Pillow turns a TIFF itself while it decodes it.
    orientation = 1 if image.format == "TIFF" else image.getexif().get(ExifTags.Base.Orientation, 1)
    box = (PAGE_BOX[1], PAGE_BOX[0]) if orientation >= 5 else PAGE_BOX
    profile = image.info.get("icc_profile")
    size = image.size
    if size[0] > box[0] or size[1] > box[1]:
        size = fit(size, box)
    image.draft("RGB", size)  # a JPEG is decoded at a half, a quarter or an eighth: only as large as is needed
    frame = _plain_mode(image)
    if frame.size != size:
        frame = frame.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if orientation in UPRIGHT:
        frame = frame.transpose(UPRIGHT[orientation])
    return _flat(_srgb(frame, profile))


def _plain_mode(image: Image.Image) -> Image.Image:
    """In a mode that can be resized and shown: L, RGB, RGBA or CMYK."""
    if image.mode.startswith(("I", "F")):
        low, high = image.getextrema()
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        low, high = (0, 65535) if image.mode.startswith("I;16") else (low, high)
        scale = 255 / (high - low) if high > low else 1
        return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")
    if "transparency" in image.info or image.mode in ("PA", "LA", "La", "RGBa"):
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "RGBA", "CMYK"):
        image.load()
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile or image.mode == "RGBA":
        return image
    try:
        found = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a profile that does not fit its picture: shown without it, as browsers do
    return found or image


def _flat(image: Image.Image) -> Image.Image:
    """RGB, on white paper where it is transparent."""
    if image.mode == "RGBA":
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        return paper
    return image.convert("RGB")
