"""The PDF builders make what they claim, seen by PDFium."""

import re
import zlib

import pypdfium2  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium  # type: ignore[import-untyped]
import pytest

from tests.support.documents import pdf


def texts(data: bytes, password: str | None = None) -> list[str]:
    document = pypdfium2.PdfDocument(data, password=password)
    try:
        return [page.get_textpage().get_text_range().strip() for page in document]
    finally:
        document.close()


def test_every_page_holds_its_own_text() -> None:
    assert texts(pdf.pages(["first page", "second page", "third page"])) == ["first page", "second page", "third page"]


def test_a_long_line_is_wrapped_onto_the_page() -> None:
    line = "word " * 60 + "end"
    assert texts(pdf.pages([line]))[0].split() == line.split()


def test_an_encrypted_pdf_opens_with_its_password_only() -> None:
    data = pdf.encrypted("a secret")
    for password in (None, "wrong"):
        with pytest.raises(pypdfium2.PdfiumError, match="password"):
            texts(data, password)
    assert texts(data, pdf.PASSWORD) == ["a secret"]
    assert b"a secret" not in data


def test_a_truncated_pdf_does_not_load_though_its_first_half_is_one() -> None:
    data = pdf.truncated()
    assert data.startswith(b"%PDF-")
    with pytest.raises(pypdfium2.PdfiumError, match="Data format"):
        texts(data)


def test_an_empty_page_has_no_text() -> None:
    assert texts(pdf.empty_page()) == [""]


def test_a_scanned_page_has_a_picture_and_no_text_layer() -> None:
    data = pdf.scanned("one", "two")
    assert texts(data) == ["", ""]
    for page in pypdfium2.PdfDocument(data):
        assert [item.type for item in page.get_objects()] == [pdfium.FPDF_PAGEOBJ_IMAGE]
        assert sum(page.render().to_pil().convert("L").histogram()[:128]) > 20


def test_the_page_tree_of_a_few_bytes_counts_a_hundred_thousand_pages() -> None:
    data = pdf.page_tree()
    document = pypdfium2.PdfDocument(data)
    assert len(data) < 4096
    assert len(document) == 100_000
    assert document[99_999].get_size() == (200, 200)


def test_the_cross_reference_table_names_itself_as_the_one_before() -> None:
    data = pdf.xref_loop()
    previous = re.search(rb"/Prev (\d+)", data)
    start = re.search(rb"startxref\n(\d+)", data)
    assert previous is not None
    assert start is not None
    assert int(previous[1]) == int(start[1]) == data.index(b"xref\n0 5")


def test_the_flate_bomb_is_small_and_passes_three_filters() -> None:
    data = pdf.flate_bomb(4 * pdf.MEBIBYTE)
    stream = data[data.index(b"stream\n") + 7 : data.index(b"\nendstream")]
    for _ in range(3):
        stream = zlib.decompress(stream)
    assert stream == bytes(4 * pdf.MEBIBYTE)
    assert len(pypdfium2.PdfDocument(data)) == 1
    assert len(pdf.flate_bomb()) < 4096


def test_the_flate_bomb_of_a_gibibyte_says_so_in_its_second_layer() -> None:
    data = pdf.flate_bomb()
    stream = data[data.index(b"stream\n") + 7 : data.index(b"\nendstream")]
    layer = zlib.decompress(zlib.decompress(stream))
    inflate = zlib.decompressobj()
    assert inflate.decompress(layer, 16 * pdf.MEBIBYTE) == bytes(16 * pdf.MEBIBYTE)
    # Sixteen mebibytes took a sixty-fourth of the layer, so the whole of it holds a gibibyte.
    assert len(layer) - len(inflate.unconsumed_tail) == pytest.approx(len(layer) / 64, rel=0.02)
