"""The image builders make what they claim, seen by Pillow and, where it is installed, by tesseract."""

import io
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from PIL import Image

from tests.support.documents import images


@pytest.mark.parametrize(("build", "kind"), [(images.png, "PNG"), (images.jpeg, "JPEG")])
def test_a_page_is_a_picture_with_ink_on_it(build: Callable[[str], bytes], kind: str) -> None:
    picture = Image.open(io.BytesIO(build("some text")))
    assert picture.format == kind
    assert picture.size == (1240, 1754)
    assert picture.convert("L").histogram()[0] > 100
    assert Image.open(io.BytesIO(build(""))).convert("L").getextrema() == (255, 255)


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_tesseract_reads_the_page_word_for_word() -> None:
    text = "The harbour lamp was lit at seven, and nobody saw the ferry that carried the copper kettle home."
    read = subprocess.run(
        ["tesseract", "-", "-"],
        input=images.png(text),
        capture_output=True,
        check=True,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
    )
    assert read.stdout.decode().split() == text.split()


def test_the_huge_picture_declares_its_size_in_a_hundred_bytes_and_pillow_warns_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = images.huge_png()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert Image.open(io.BytesIO(data)).size == (50_000, 50_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    assert len(data) < 128


def test_the_geotagged_picture_carries_its_place_and_lies_on_its_side() -> None:
    exif = Image.open(io.BytesIO(images.geotagged_jpeg())).getexif()
    place = exif.get_ifd(images.GPS)
    assert exif[images.ORIENTATION] == 6
    assert tuple(float(part) for part in place[2]) == images.LATITUDE[0]
    assert (place[1], place[3]) == ("N", "E")
    assert "GPSInfo" not in str(Image.open(io.BytesIO(images.jpeg())).getexif())
