"""Documents that are damaged, locked or made to do harm are refused with their reason, before they cost anything."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from quire_ingest.extract import Limits, Unreadable
from tests.support.documents import images, office, pdf
from tests.unit.ingest.reading import DOCX, EPUB, ODT, PDF, PPTX, XLSX, read


def refusal(folder: Path, content: bytes, media_type: str, limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as refused:
        read(folder, content, media_type, limits)
    assert refused.value.detail.endswith(".")
    return refused.value.reason


def test_an_encrypted_pdf_is_refused_with_its_reason(tmp_path: Path) -> None:
    assert refusal(tmp_path, pdf.encrypted(), PDF) == "encrypted"


@pytest.mark.parametrize("content", [pdf.truncated(), b"", b"%PDF-1.7\n", bytes(1_000)])
def test_a_broken_pdf_is_corrupt(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content, PDF) == "corrupt"


def test_a_pdf_of_a_hundred_thousand_pages_is_refused_at_once(tmp_path: Path) -> None:
    assert refusal(tmp_path, pdf.page_tree(5), PDF) == "limit"


def test_a_pdf_whose_cross_references_go_in_circles_ends(tmp_path: Path) -> None:
    assert read(tmp_path, pdf.xref_loop(), PDF).page_count == 1


@pytest.mark.parametrize("media_type", [DOCX, XLSX, PPTX, ODT, EPUB])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", bytes(100), office.docx()[:-500]])
def test_a_container_that_is_cut_or_no_container_is_corrupt(tmp_path: Path, content: bytes, media_type: str) -> None:
    assert refusal(tmp_path, content, media_type) == "corrupt"


@pytest.mark.parametrize("media_type", [DOCX, XLSX, PPTX, EPUB])
def test_a_container_without_the_parts_of_its_format_is_corrupt(tmp_path: Path, media_type: str) -> None:
    assert refusal(tmp_path, _zip({"unrelated.txt": b"words"}), media_type) == "corrupt"


def test_an_office_package_wrapped_for_a_password_is_encrypted(tmp_path: Path) -> None:
    wrapped = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2_000) + "EncryptedPackage".encode("utf-16-le") + bytes(500)
    assert refusal(tmp_path, wrapped, DOCX) == "encrypted"


def test_an_office_document_from_before_2007_is_unsupported_under_any_name(tmp_path: Path) -> None:
    old = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2_000) + "WordDocument".encode("utf-16-le") + bytes(500)
    assert refusal(tmp_path, old, DOCX) == "unsupported"


def test_an_open_document_with_encrypted_entries_is_encrypted(tmp_path: Path) -> None:
    manifest = b"<manifest><file-entry><encryption-data/></file-entry></manifest>"
    assert refusal(tmp_path, _zip({"META-INF/manifest.xml": manifest, "content.xml": b"\x00"}), ODT) == "encrypted"


def test_a_container_with_encrypted_entries_is_encrypted(tmp_path: Path) -> None:
    content = bytearray(_zip({"word/document.xml": b"words"}))
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1
    assert refusal(tmp_path, bytes(content), DOCX) == "encrypted"


@pytest.mark.parametrize("content", [office.swollen_docx(), office.overlapping_zip_bomb()])
def test_a_container_that_would_unpack_to_far_more_is_refused(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content, DOCX) == "limit"


def test_a_container_may_not_unpack_to_more_than_is_allowed(tmp_path: Path) -> None:
    assert refusal(tmp_path, office.docx(), DOCX, Limits(unpacked_bytes=1_000)) == "limit"


@pytest.mark.parametrize("content", [office.zip_slip_docx(), office.symlink_docx()])
def test_entries_with_names_outside_the_container_are_never_written(tmp_path: Path, content: bytes) -> None:
    found = read(tmp_path, content, DOCX)
    assert "One paragraph of text." in found.pages[0]
    assert [path.name for path in tmp_path.iterdir()] == ["content"]
    assert not Path("/tmp/quire-zip-slip.txt").exists()


def test_an_image_that_a_word_document_links_to_does_not_enter_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("local secret")
    found = read(tmp_path, office.docx_with_external_image(secret.as_uri()), DOCX)
    assert "local secret" not in found.pages[0]


def test_a_picture_with_a_header_of_billions_of_pixels_is_refused_unread(tmp_path: Path) -> None:
    assert refusal(tmp_path, images.huge_png(), "image/png") == "limit"
    assert refusal(tmp_path, images.png(), "image/png", Limits(pixels=1_000)) == "limit"


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", images.jpeg(), bytes(500)])
def test_a_picture_that_is_no_picture_of_its_type_is_corrupt(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content, "image/png") == "corrupt"


def _zip(entries: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()
