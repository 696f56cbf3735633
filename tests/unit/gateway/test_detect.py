"""What a content is, told from its bytes whatever its name says."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire_gateway.detect import ALLOWED, HEAD_BYTES, OFFICE, UNKNOWN, ZIP, detect, detect_zip, name_of_unknown
from tests.support.documents import executables, images, office, pdf, text

NAMES = ("right", "x.txt", "x.html", "x.eml", "x.exe", "", "x")


def _zip(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED, streamed: bool = False) -> bytes:
    buffer = io.BytesIO()

    class Forward(io.RawIOBase):
        """Cannot seek, so that sizes follow the data instead of preceding it."""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            return buffer.write(data)

    with zipfile.ZipFile(Forward() if streamed else buffer, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _open_document(kind: str) -> bytes:
    return _zip({"mimetype": f"application/vnd.oasis.opendocument.{kind}".encode(), "content.xml": b"<x/>"})


EPUB = _zip({"mimetype": b"application/epub+zip", "META-INF/container.xml": b"<x/>"})

BINARY = [
    (pdf.pages(["One."]), "application/pdf"),
    (b"\r\n\xef\xbb\xbf" + pdf.pages(["One."]), "application/pdf"),
    (b"\x00\x01junk of a mail gateway\xfe\n" + pdf.pages(["One."]), "application/pdf"),
    (images.png(width=100, height=100), "image/png"),
    (images.jpeg(width=100, height=100), "image/jpeg"),
    (b"II*\x00" + bytes(100), "image/tiff"),
    (b"MM\x00*" + bytes(100), "image/tiff"),
    (b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(100), "image/webp"),
    (b"{\\rtf1\\ansi Hello}", "application/rtf"),
    (office.docx(), OFFICE["word/"]),
    (office.xlsx(), OFFICE["xl/"]),
    (office.pptx(), OFFICE["ppt/"]),
    (_open_document("text"), "application/vnd.oasis.opendocument.text"),
    (_open_document("spreadsheet"), "application/vnd.oasis.opendocument.spreadsheet"),
    (_open_document("presentation"), "application/vnd.oasis.opendocument.presentation"),
    (EPUB, "application/epub+zip"),
]


def _ids(cases: list[tuple[bytes, str]]) -> list[str]:
    return [f"{number} {media_type.rsplit('.', 1)[-1]}" for number, (_, media_type) in enumerate(cases)]


def _whole(content: bytes, filename: str) -> str:
    """As the receiver asks: the head first, the tail where the head is that of a zip."""
    found = detect(content[:HEAD_BYTES], filename)
    return detect_zip(content[-256 * 1024 :]) if found == ZIP else found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("content", "media_type"), BINARY, ids=_ids(BINARY))
def test_bytes_decide_whatever_the_name_says(content: bytes, media_type: str, name: str) -> None:
    assert _whole(content, name) == media_type
    assert media_type in ALLOWED


TEXTS = [
    (text.html(), "page.txt", "text/html"),
    (b"\xef\xbb\xbf  <!DOCTYPE html><p>x", "x", "text/html"),
    (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"></html>', "x.xml", "text/html"),
    (text.xml(), "x.txt", "application/xml"),
    (text.svg_with_script(), "x.svg", "application/xml"),
    (b"404: Not Found", "x.xml", "text/plain"),
    (b"<!-- a remark --><r/>", "x.xml", "application/xml"),
    ("\ufeff<r/>".encode("utf-16-le"), "x.xml", "application/xml"),
    (text.csv(), "x.CSV", "text/csv"),
    (b"a\tb\n1\t2\n", "x.tsv", "text/tab-separated-values"),
    (b'{"a": 1}', "x.json", "application/json"),
    (text.markdown(), "x.md", "text/markdown"),
    (text.markdown(), "x.markdown", "text/markdown"),
    (text.markdown(), "README", "text/plain"),
    (b"From: a@b\r\nTo: c@d\r\nSubject: x\r\n y\r\n\r\nBody", "letter", "message/rfc822"),
    (b"Received: by x\nDate: today\n\nBody", "letter.bin", "message/rfc822"),
    (b"Subject: only one header\n\nBody", "letter", "text/plain"),
    (b"Note: this\nThing: that\n\nBody", "letter", "text/plain"),
    (text.utf8(), "x", "text/plain"),
    (text.utf16(), "x.pdf", "text/plain"),
    ("\ufeffGrüße".encode("utf-16-be"), "x", "text/plain"),
    (text.latin1(), "x.docx", "text/plain"),
    (text.with_nuls("word " * 100 + "\0"), "x", "text/plain"),
    (text.with_bad_utf8(), "x", "text/plain"),
    (executables.shell_script(), "x", "text/plain"),
    (b"The first line of such a file is %PDF-1.7, they say.", "x.txt", "text/plain"),
    (b"", "x.pdf", "text/plain"),
]


@pytest.mark.parametrize(("content", "name", "media_type"), TEXTS, ids=[f"{n} {t}" for _, n, t in TEXTS])
def test_text_is_told_by_its_beginning_then_by_its_suffix(content: bytes, name: str, media_type: str) -> None:
    assert detect(content, name) == media_type
    assert media_type in ALLOWED


@pytest.mark.parametrize("name", ["invoice.pdf", "notes.txt", "x.docx"])
@pytest.mark.parametrize(
    "content",
    [
        executables.elf(),
        b"MZ\x90\x00\x03\x00\x00\x00" + bytes(200),
        bytes(1000),
        bytes(range(256)) * 10,
        b"\x1f\x8b\x08\x00" + bytes(60),
        b"GIF89a\x01\x00\x01\x00" + bytes(60),
    ],
)
def test_what_is_no_document_is_unknown_whatever_its_name(content: bytes, name: str) -> None:
    assert detect(content, name) == UNKNOWN
    assert UNKNOWN not in ALLOWED


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"readme.txt": b"hello"},
        {"classes/Main.class": b"\xca\xfe\xba\xbe", "META-INF/MANIFEST.MF": b"x"},
        {"mimetype": b"application/x-evil"},
        {"backup/letter.docx": office.docx()},
        {"backup/book.epub": EPUB},
    ],
    ids=lambda entries: next(iter(entries), "empty"),
)
def test_a_zip_with_nothing_known_in_it_is_just_a_zip(entries: dict[str, bytes]) -> None:
    content = _zip(entries)
    assert _whole(content, "x.docx") in {ZIP, UNKNOWN}
    assert ZIP not in ALLOWED


def test_an_office_file_whose_parts_come_late_is_told_by_its_end() -> None:
    content = _zip({"docProps/thumbnail.jpeg": b"\xff\xd8" + bytes(HEAD_BYTES), "word/document.xml": b"<x/>"})
    assert detect(content[:HEAD_BYTES], "x.zip") == ZIP
    assert detect_zip(content) == OFFICE["word/"]


def test_a_book_whose_kind_is_not_said_at_its_beginning_is_told_by_its_parts() -> None:
    content = _zip({"a.xhtml": b"<x/>", "META-INF/container.xml": b"<x/>", "mimetype": b"application/epub+zip\r\n"})
    assert _whole(content, "x") == "application/epub+zip"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("letter.DOCX", OFFICE["word/"]), ("book.xlsx", OFFICE["xl/"]), ("talk.pptx", OFFICE["ppt/"]),
        ("old.doc", UNKNOWN), ("message.msg", UNKNOWN), ("letter.pdf", UNKNOWN), ("", UNKNOWN),
    ],
)  # fmt: skip
def test_an_office_document_with_a_password_is_taken_so_that_its_owner_learns_why_it_fails(
    name: str, media_type: str
) -> None:
    assert detect(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), name) == media_type


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_written_in_one_go_is_told_all_the_same(method: int) -> None:
    epub = _zip({"mimetype": b"application/epub+zip", "a.xhtml": b"<x/>" * 99}, method, streamed=True)
    docx = _zip({"[Content_Types].xml": b"<x/>" * 99, "word/document.xml": b"<x/>"}, method, streamed=True)
    assert _whole(epub, "x") == "application/epub+zip"
    assert _whole(docx, "x") == OFFICE["word/"]


def test_magika_names_what_is_refused() -> None:
    assert "exe" in name_of_unknown(executables.elf()) or "elf" in name_of_unknown(executables.elf())


@given(st.binary(max_size=2000), st.text(max_size=50))
def test_nothing_makes_it_raise(head: bytes, filename: str) -> None:
    assert detect(head, filename) in ALLOWED | {ZIP, UNKNOWN}
    assert detect_zip(head) in ALLOWED | {ZIP}


@given(st.binary(max_size=300), st.lists(st.binary(max_size=60), max_size=4))
def test_no_damaged_zip_makes_it_raise(junk: bytes, pieces: list[bytes]) -> None:
    head = b"PK\x03\x04" + junk + b"PK\x03\x04".join(pieces) + b"PK\x01\x02" + junk + b"PK\x05\x06" + junk
    assert detect(head, "x.docx") in ALLOWED | {ZIP}
    assert detect_zip(head) in ALLOWED | {ZIP}


@given(st.text(max_size=500))
def test_every_utf8_text_without_control_characters_is_text(content: str) -> None:
    kept = "".join(character for character in content if character.isprintable())
    assert detect(kept.encode("utf-8", "replace"), "x.txt") in ALLOWED
