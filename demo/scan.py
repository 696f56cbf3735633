"""Draws a sample as a scanned sheet: text without a text layer, on tinted paper and a little askew."""

import io
import random
from pathlib import Path

import reportlab  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont

# Vera travels inside reportlab's wheel, so the same letters are drawn on every machine.
FONT = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
WIDTH, HEIGHT = 1240, 1754
PAPER, INK = (243, 236, 220), (38, 34, 44)


def scan(source: str, kind: str) -> bytes:
    """An A4 sheet at 150 dots an inch, one line of the picture for each line of `source`; `kind` is PNG or JPEG."""
    sheet = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((120, 120), source, fill=INK, font=ImageFont.truetype(FONT, 30), spacing=16)
    sheet = sheet.rotate(0.4, Image.Resampling.BICUBIC, fillcolor=PAPER)
    _age(ImageDraw.Draw(sheet))
    out = io.BytesIO()
    if kind == "JPEG":
        sheet.save(out, kind, quality=85, dpi=(150, 150))
    else:
        sheet.quantize(32).save(out, kind, optimize=True, dpi=(150, 150))
    return out.getvalue()


def _age(draw: ImageDraw.ImageDraw) -> None:
    """Specks, as the glass of a scanner has them: always the same ones, so that the bytes are too."""
    rng = random.Random(1931)  # noqa: S311 - not a secret
    for _ in range(250):
        x, y = rng.randrange(WIDTH), rng.randrange(HEIGHT)
        draw.point((x, y), fill=(200, 190, 170))
