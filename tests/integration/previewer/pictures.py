"""Rendering into a folder, and looking at the pictures that come out."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quire_previewer.render import render


@dataclass(frozen=True)
class Rendered:
    """What was made of a document: how many pages it has, and its pictures."""

    count: int | None
    thumbnail: Image.Image
    pages: list[Image.Image]


def rendered(folder: Path, content: bytes, media_type: str, *, pages: int = 10) -> Rendered:
    """The pictures of a document, which must be as large as is said of them."""
    folder.mkdir(exist_ok=True)
    (folder / "content").write_bytes(content)
    thumbnail, written, count = render(folder / "content", folder, media_type, pages=pages)
    opened: list[Image.Image] = [Image.open(folder / f"{picture.page}-1200.webp") for picture in written]
    assert [image.size for image in opened] == [(picture.width, picture.height) for picture in written]
    assert [picture.page for picture in written] == list(range(1, len(written) + 1))
    small = Image.open(folder / "thumbnail.webp")
    assert small.size == (thumbnail.width, thumbnail.height)
    return Rendered(count, small, opened)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file of a picture."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(image: Image.Image) -> NDArray[np.int16]:
    """Height × width × RGB."""
    return np.asarray(image.convert("RGB")).astype(np.int16)


def ink(image: Image.Image) -> float:
    """The share of pixels that are dark."""
    return float((pixels(image).mean(axis=2) < 128).mean())


def ink_box(image: Image.Image) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is dark, as shares of the width and the height."""
    dark = pixels(image).mean(axis=2) < 128
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    height, width = dark.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures of one size are apart: 0 (the same) to 255, on average."""
    assert one.size == other.size
    return float(np.abs(pixels(one) - pixels(other)).mean())
