"""Pictures as WebP files: the sizes they are made in, and how they are encoded.

Quality and method were chosen by measuring 1,200-pixel pages of real PDFs: method 0 takes a third of method 4's time
for a fifth more bytes, and Pillow is a quarter faster than libvips at the same settings. A thumbnail is small, and is
loaded by the hundred: there method 2 is worth its two milliseconds.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

PAGE_WIDTH = 1200
"""Width of a page image in pixels; a picture that is narrower is not enlarged."""

PAGE_BOX = (PAGE_WIDTH, 4 * PAGE_WIDTH)
"""Largest page image, width and height: bounds the work that an endless screenshot or a roll of a plan makes."""

THUMBNAIL_BOX = (320, 420)
QUALITY = 75


THUMBNAIL = "thumbnail.webp"


def page_name(page: int) -> str:
    """The file of a page's picture; pages count from 1. The width in it is the nominal one."""
    return f"{page}-{PAGE_WIDTH}.webp"


class Picture(NamedTuple):
    """A WebP file that was written: its page, counted from 1, and its size in pixels."""

    page: int
    width: int
    height: int


def fit(size: tuple[float, float], box: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same shape inside the box, whole pixels, at least one each way."""
    scale = min(box[0] / size[0], box[1] / size[1])
    return min(box[0], max(1, round(size[0] * scale))), min(box[1], max(1, round(size[1] * scale)))


def write(pages: Iterable[tuple[int, Image.Image]], folder: Path, most: int) -> tuple[Picture, list[Picture]]:
    """Write at most so many pages, and a thumbnail of the first, into the folder: the thumbnail, and the pages.

    The pages are RGB and fit `PAGE_BOX`; there is at least one. The thumbnail is the first page's image made smaller,
    which costs a fifth of encoding that page; to render the page anew costs more unless it is nearly empty.
    """
    written: list[Picture] = []
    thumbnail = None
    for number, image in pages:
        if thumbnail is None:
            small = image
            if image.width > THUMBNAIL_BOX[0] or image.height > THUMBNAIL_BOX[1]:
                size = fit(image.size, THUMBNAIL_BOX)
                small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.1)
            thumbnail = _save(small, number, folder / THUMBNAIL, method=2)
        if len(written) < most:
            written.append(_save(image, number, folder / page_name(number), method=0))
    if thumbnail is None:
        raise ValueError("there is no page to write")
    return thumbnail, written


def _save(image: Image.Image, page: int, path: Path, method: int) -> Picture:
    # Pillow would carry a colour profile and XMP over from the picture that was read.
    image.info.clear()
    image.save(path, "WEBP", quality=QUALITY, method=method)
    return Picture(page, image.width, image.height)
