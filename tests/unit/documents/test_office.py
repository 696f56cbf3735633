"""The office builders make what they claim, seen by the libraries that own the formats."""

import io
import stat
import zipfile
from xml.etree import ElementTree

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx
import pytest

from tests.support.documents import office


def entries(data: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(data))


def test_a_word_document_has_its_heading_paragraphs_and_table() -> None:
    document = docx.Document(io.BytesIO(office.docx("Title", ["one", "two"], [("a", "b"), ("c", "d")])))
    assert [paragraph.text for paragraph in document.paragraphs] == ["Title", "one", "two"]
    style = document.paragraphs[0].style
    assert style is not None
    assert style.name == "Heading 1"
    assert [[cell.text for cell in row.cells] for row in document.tables[0].rows] == [["a", "b"], ["c", "d"]]


def test_a_workbook_has_its_sheets_and_cells() -> None:
    book = openpyxl.load_workbook(io.BytesIO(office.xlsx({"One": [("part", 2)], "Two": [(1.5,)]})))
    assert book.sheetnames == ["One", "Two"]
    assert list(book["One"].values) == [("part", 2)]
    assert list(book["Two"].values) == [(1.5,)]


def test_a_deck_has_its_slides() -> None:
    deck = pptx.Presentation(io.BytesIO(office.pptx([("First", "line"), ("Second", "other")])))
    assert [[shape.text for shape in slide.placeholders] for slide in deck.slides] == [
        ["First", "line"],
        ["Second", "other"],
    ]


def test_the_external_image_is_linked_and_not_embedded() -> None:
    data = office.docx_with_external_image("http://192.0.2.1/x.png")
    assert docx.Document(io.BytesIO(data)).part.rels["rIdRemote"].target_ref == "http://192.0.2.1/x.png"
    assert b'r:link="rIdRemote"' in entries(data).read("word/document.xml")
    assert not [name for name in entries(data).namelist() if "media" in name]


def test_the_remote_template_is_attached_to_the_settings() -> None:
    archive = entries(office.docx_with_remote_template("http://192.0.2.1/x.dotm"))
    assert b"attachedTemplate" in archive.read("word/settings.xml")
    relations = archive.read("word/_rels/settings.xml.rels")
    assert b'Target="http://192.0.2.1/x.dotm" TargetMode="External"' in relations
    ElementTree.fromstring(archive.read("word/settings.xml"))
    ElementTree.fromstring(relations)


def test_the_flat_document_names_what_it_wants_to_pull_in() -> None:
    data = office.fodt("visible", section_from="file:///etc/hostname", image_from="http://192.0.2.1/x.png")
    links = [value for node in ElementTree.fromstring(data).iter() for key, value in node.items() if "href" in key]
    assert links == ["file:///etc/hostname", "http://192.0.2.1/x.png"]
    assert "visible" in "".join(ElementTree.fromstring(data).itertext())


def test_the_zip_slip_document_opens_and_has_names_outside_its_folder() -> None:
    data = office.zip_slip_docx("victim.txt")
    assert docx.Document(io.BytesIO(data)).paragraphs[0].text == "A test document"
    outside = [name for name in entries(data).namelist() if name.startswith(("../", "/"))]
    assert outside == ["../../../../../../../../tmp/victim.txt", "/tmp/victim.txt"]


def test_the_symlink_document_holds_a_link() -> None:
    archive = entries(office.symlink_docx("/etc/passwd"))
    info = archive.getinfo("word/media/image1.png")
    assert stat.S_ISLNK(info.external_attr >> 16)
    assert archive.read(info) == b"/etc/passwd"


def test_the_swollen_document_is_valid_and_grows_as_far_as_it_says() -> None:
    data = office.swollen_docx(2 * office.MEBIBYTE)
    assert entries(data).getinfo("word/document.xml").file_size > 2 * office.MEBIBYTE
    assert len(docx.Document(io.BytesIO(data)).paragraphs[0].text) == 2 * office.MEBIBYTE
    assert len(data) < 64 * 1024


def leaves(data: bytes) -> int:
    """The bytes of all innermost files."""
    archive = entries(data)
    contents = [(name, archive.read(name)) for name in archive.namelist()]
    return sum(leaves(content) if name.endswith(".zip") else len(content) for name, content in contents)


def test_the_nested_bomb_multiplies_at_every_level() -> None:
    assert leaves(office.nested_zip_bomb(levels=3, width=4, leaf=1000)) == 4**3 * 1000
    assert len(office.nested_zip_bomb()) < 64 * 1024


def test_the_entries_of_the_overlapping_bomb_share_their_bytes() -> None:
    data = office.overlapping_zip_bomb()
    bombs = [info for info in entries(data).infolist() if info.filename.startswith("word/media/")]
    assert len({info.filename for info in bombs}) == 1000
    assert len({info.header_offset for info in bombs}) == 1
    assert sum(info.file_size for info in bombs) == 1000 * 10 * office.MEBIBYTE
    assert len(data) < 256 * 1024


def test_an_edit_that_finds_nothing_is_an_error() -> None:
    with pytest.raises(AssertionError, match="nothing to change"):
        office._edited(office.docx(), {"word/document.xml": lambda xml: xml})
