"""PDF pages as pictures."""

import io
from pathlib import Path

import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from quire_previewer.render import Refusal
from tests.integration.previewer.pictures import difference, ink, rendered
from tests.support.documents import pdf

PDF = "application/pdf"


def drawn(width: float, height: float, *, form: bool = False) -> bytes:
    """One page of that many points, black in its upper half; with a form, a field that was filled in."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(width, height))
    if form:
        canvas.acroForm.textfield(name="word", value="FILLED IN", x=20, y=20, width=width - 40, height=60, fontSize=40)
    else:
        canvas.rect(0, height / 2, width, height / 2, stroke=0, fill=1)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def test_pages_are_1200_wide_and_the_thumbnail_fits_320_by_420(tmp_path: Path) -> None:
    made = rendered(tmp_path, pdf.pages(["Some words."]), PDF)
    assert [page.size for page in made.pages] == [(1200, 1698)]
    assert made.thumbnail.size == (297, 420)
    assert {image.format for image in (made.thumbnail, *made.pages)} == {"WEBP"}


def test_the_first_pages_are_drawn_and_all_are_counted(tmp_path: Path) -> None:
    made = rendered(tmp_path, pdf.pages([f"Page {n}\n" * n for n in range(1, 13)]), PDF, pages=3)
    assert made.count == 12
    assert len(made.pages) == 3
    shares = [ink(page) for page in made.pages]
    assert shares == sorted(shares), "each page has a line more than the one before it"
    assert shares[0] > 0


def test_a_hundred_thousand_pages_are_counted_and_not_drawn(tmp_path: Path) -> None:
    made = rendered(tmp_path, pdf.page_tree(5), PDF, pages=2)
    assert (made.count, len(made.pages)) == (100_000, 2)


def test_the_thumbnail_shows_the_first_page(tmp_path: Path) -> None:
    made = rendered(tmp_path, drawn(400, 300), PDF)
    assert made.thumbnail.size == (320, 240)
    small = made.pages[0].convert("RGB").resize(made.thumbnail.size)
    assert difference(made.thumbnail, small) < 5
    assert ink(made.thumbnail) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("points", "size"), [((14_000, 100), (1200, 9)), ((100, 14_000), (35, 4800)), ((3, 3), (1200, 1200))]
)
def test_a_page_of_any_shape_stays_within_bounds(
    tmp_path: Path, points: tuple[int, int], size: tuple[int, int]
) -> None:
    made = rendered(tmp_path, drawn(*points), PDF)
    assert made.pages[0].size == size
    assert made.thumbnail.width <= 320
    assert made.thumbnail.height <= 420


def test_what_was_filled_into_a_form_is_seen(tmp_path: Path) -> None:
    assert ink(rendered(tmp_path, drawn(400, 300, form=True), PDF).pages[0]) > 0.01


def test_a_picture_holds_a_whole_page_of_text_legibly(tmp_path: Path) -> None:
    source = rendered(tmp_path, pdf.scanned("A page of words.\n" * 20), PDF).pages[0]
    lossless = tmp_path / "page.png"
    source.save(lossless)
    assert 10_000 < (tmp_path / "1-1200.webp").stat().st_size < lossless.stat().st_size * 4
    with Image.open(lossless) as again:
        assert difference(source, again) == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [(pdf.encrypted(), "encrypted"), (pdf.truncated(), "corrupt"), (b"%PDF-1.7\nnothing", "corrupt")],
)
def test_a_pdf_that_cannot_be_opened_is_refused_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        rendered(tmp_path, content, PDF)
    assert refused.value.reason == reason
    assert str(tmp_path) not in refused.value.detail


def test_a_loop_in_the_cross_references_ends(tmp_path: Path) -> None:
    assert rendered(tmp_path, pdf.xref_loop(), PDF).count == 1
