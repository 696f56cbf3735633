"""Pictures as previews: upright, without what the camera wrote, and never larger than is safe to decode."""

import io
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw

from quire_previewer.render import Refusal
from tests.integration.previewer.pictures import encode, pixels, rendered
from tests.support.documents import images

RED, GREEN, BLUE, WHITE = (220, 20, 20), (20, 180, 20), (20, 20, 220), (255, 255, 255)


def flag(width: int = 600, height: int = 400, mode: str = "RGB") -> Image.Image:
    """Red at the upper left, green at the upper right, blue below."""
    image = Image.new("RGB", (width, height), BLUE)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2, height // 2), fill=RED)
    draw.rectangle((width // 2, 0, width, height // 2), fill=GREEN)
    return image.convert(mode)


def colours(image: Image.Image) -> list[str]:
    """The colours of the four corners: upper left, upper right, lower left, lower right."""
    shown = pixels(image)
    height, width, _ = shown.shape
    spots = [
        (height // 8, width // 8),
        (height // 8, -width // 8),
        (-height // 8, width // 8),
        (-height // 8, -width // 8),
    ]
    return [_name(shown[y, x].tolist()) for y, x in spots]


def _name(colour: list[int]) -> str:
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE, "black": (0, 0, 0)}
    return min(names, key=lambda name: sum(abs(a - b) for a, b in zip(names[name], colour, strict=True)))


UPRIGHT = ["red", "green", "blue", "blue"]


def test_a_large_picture_is_made_1200_wide_and_a_small_one_is_left_as_it_is(tmp_path: Path) -> None:
    assert rendered(tmp_path / "l", encode(flag(3000, 2000), "PNG"), "image/png").pages[0].size == (1200, 800)
    small = rendered(tmp_path / "s", encode(flag(90, 60), "PNG"), "image/png")
    assert (small.pages[0].size, small.thumbnail.size, small.count) == ((90, 60), (90, 60), 1)


def test_an_endless_screenshot_is_bounded(tmp_path: Path) -> None:
    made = rendered(tmp_path, encode(flag(300, 30_000), "PNG"), "image/png")
    assert made.pages[0].size == (48, 4800)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP", "AVIF"])
def test_every_orientation_is_turned_upright(
    tmp_path: Path, kind: str, orientation: int, turn: Image.Transpose | None
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    held = flag(1800, 900) if turn is None else flag(1800, 900).transpose(turn)
    made = rendered(tmp_path, encode(held, kind, exif=exif), f"image/{kind.lower()}")
    assert made.pages[0].size == (1200, 600)
    assert colours(made.pages[0]) == UPRIGHT
    assert colours(made.thumbnail) == UPRIGHT


def test_where_and_with_what_a_picture_was_taken_is_gone(tmp_path: Path) -> None:
    content = images.geotagged_jpeg()
    assert ExifTags.IFD.GPSInfo in Image.open(io.BytesIO(content)).getexif()
    made = rendered(tmp_path, content, "image/jpeg")
    assert made.pages[0].size == (600, 800), "it was held on its side"
    for name in ("thumbnail.webp", "1-1200.webp"):
        raw = (tmp_path / name).read_bytes()
        assert raw[12:16] == b"VP8 ", "a file with anything beside the picture would begin with VP8X"
        assert b"Exif" not in raw
        assert not Image.open(io.BytesIO(raw)).getexif()


def test_a_colour_profile_is_applied_and_left_out(tmp_path: Path) -> None:
    source = flag()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = rendered(tmp_path, encode(source, "PNG", icc_profile=profile), "image/png")
    assert colours(made.pages[0]) == UPRIGHT
    assert (tmp_path / "1-1200.webp").read_bytes()[12:16] == b"VP8 "


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        rendered(tmp_path, images.huge_png(), "image/png")
    assert refused.value.reason == "limit"
    assert "50000 × 50000" in refused.value.detail


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_shown(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (300, 200), WHITE)] * 3
    content = encode(flag(300, 200), kind, save_all=True, append_images=frames, duration=50)
    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) > 1
    made = rendered(tmp_path, content, f"image/{kind.lower()}")
    assert (len(made.pages), made.count) == (1, 1)
    assert colours(made.pages[0]) == UPRIGHT


def test_a_tiff_has_pages(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (300, 200), colour) for colour in (RED, GREEN, BLUE)]
    content = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    made = rendered(tmp_path, content, "image/tiff", pages=2)
    assert made.count == 3
    assert [colours(page)[0] for page in made.pages] == ["red", "green"]


def test_what_is_transparent_lies_on_white_paper(tmp_path: Path) -> None:
    image = flag(mode="RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 300, 200))
    made = rendered(tmp_path, encode(image, "PNG"), "image/png")
    assert colours(made.pages[0]) == ["white", "green", "blue", "blue"]


@pytest.mark.parametrize("mode", ["P", "L", "1", "CMYK", "LA"])
def test_every_mode_of_colour_is_shown(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (600, 400), (30, 30, 30))
    image.paste((230, 230, 230), (0, 0, 600, 200))
    kind = "TIFF" if mode == "CMYK" else "PNG"
    made = rendered(tmp_path, encode(image.convert(mode), kind), f"image/{kind.lower()}")
    grey = pixels(made.pages[0]).mean(axis=2)
    assert grey[:180].mean() > 200
    assert grey[220:].mean() < 60


def test_sixteen_bits_of_grey_keep_their_shades(tmp_path: Path) -> None:
    ramp = Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16")
    made = rendered(tmp_path, encode(ramp, "PNG"), "image/png")
    grey = pixels(made.pages[0]).mean(axis=(1, 2))
    assert grey[2] < 20
    assert 100 < grey[128] < 155
    assert grey[-2] > 235


@pytest.mark.parametrize("content", [images.jpeg()[:4000], b"\x89PNG\r\n\x1a\nnothing", b"", b"BM"])
def test_a_damaged_picture_is_refused_as_corrupt(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        rendered(tmp_path, content, "image/png")
    assert refused.value.reason == "corrupt"
    assert str(tmp_path) not in refused.value.detail
