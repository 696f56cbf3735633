"""Each family of formats gives the words of its documents, where they stand, and nothing that is not shown."""

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import docx
import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from quire_ingest.extract import FAMILIES, Limits, Unreadable, family_of
from tests.support.documents import images, office, pdf, text
from tests.unit.ingest.reading import DOCX, EPUB, ODP, ODS, ODT, PDF, PPTX, XLSX, read, text_of

PANGRAM = text.PANGRAM


@pytest.mark.parametrize("content", [text.utf8(), text.utf16(), text.latin1()])
def test_plain_text_of_any_encoding(tmp_path: Path, content: bytes) -> None:
    assert text_of(tmp_path, content, "text/plain") == PANGRAM


@pytest.mark.parametrize("media_type", ["text/markdown", "text/csv", "text/x-python", "TEXT/PLAIN; charset=utf-8"])
def test_text_under_another_name_is_kept_as_it_stands(tmp_path: Path, media_type: str) -> None:
    assert text_of(tmp_path, text.csv(), media_type) == text.csv().decode()


def test_text_without_pages_has_none(tmp_path: Path) -> None:
    found = read(tmp_path, text.utf8(), "text/plain")
    assert (found.paged, found.page_count, found.scanned, found.cut) == (False, None, [], False)


def test_text_beyond_the_limit_is_not_even_read(tmp_path: Path) -> None:
    found = read(tmp_path, text.long_line(1 << 20), "text/plain", Limits(characters=1_000))
    assert found.cut
    assert len(found.pages[0]) <= 4_000


def test_json_shows_the_letters_behind_its_escapes(tmp_path: Path) -> None:
    assert "café" in text_of(tmp_path, json.dumps({"drink": "café"}).encode(), "application/json")


@pytest.mark.parametrize(
    "content", ['{"a": "\\u00e9"}\n{"b": 2}', '{"a": "\\u00e9", // note\n}', '["\\u00e9",' * 90_000]
)
def test_what_is_nearly_json_is_text(tmp_path: Path, content: str) -> None:
    assert text_of(tmp_path, content.encode(), "application/json") == content


@pytest.mark.parametrize("media_type", ["application/xml", "text/xml"])
def test_xml_gives_its_text_and_its_attributes(tmp_path: Path, media_type: str) -> None:
    content = (
        b'<?xml version="1.0" encoding="ISO-8859-1"?><r xmlns="urn:x"><a name="lamp">caf\xe9 &amp; tea</a>tail</r>'
    )
    words = text_of(tmp_path, content, media_type).split()
    assert words == ["lamp", "café", "&", "tea", "tail"]


@pytest.mark.parametrize("media_type", ["image/svg+xml", "application/xml"])
def test_a_drawing_gives_its_labels_alone(tmp_path: Path, media_type: str) -> None:
    words = text_of(tmp_path, text.svg_with_script("Readable words", "stolencookie"), media_type)
    assert words.split() == ["Readable", "words"]


@pytest.mark.parametrize("content", [text.billion_laughs(), text.xxe(), b"<a><b></a>", b"<a>", b"", b"no markup"])
def test_xml_that_is_broken_or_declares_entities_is_corrupt(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Unreadable, match="corrupt"):
        read(tmp_path, content, "application/xml")


def test_xml_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="limit"):
        read(tmp_path, b"<a>" * 5_000 + b"</a>" * 5_000, "application/xml")


def test_html_gives_what_a_reader_sees(tmp_path: Path) -> None:
    content = """<html><head><title>Lamps</title><style>p {}</style></head><body><!-- secret -->
      <header>Top</header><nav><a href="/x">Home</a></nav><div>A <b>bold</b><i>est</i> word<br>next line</div>
      <dl><dt>term</dt><dd>meaning</dd></dl><ul><li>one<li>two</ul><noscript>no</noscript>
      <table><tr><th>part</th><th>count</th></tr><tr><td>lamp</td><td>2</td></tr></table>
      <pre>  kept\n    apart</pre><img src="http://192.0.2.1/x.png" alt="A red lamp"><footer>Bottom</footer></body>"""
    assert text_of(tmp_path, content.encode(), "text/html") == (
        "Lamps\n\nTop\n\nHome\n\nA boldest word\nnext line\n\nterm\nmeaning\n\none\ntwo\n\n"
        "part\tcount\nlamp\t2\n\nkept\napart\n\nA red lamp\n\nBottom"
    )


def test_a_title_that_the_page_shows_is_not_repeated(tmp_path: Path) -> None:
    found = text_of(tmp_path, text.html("A page about lamps"), "text/html")
    assert found.count("A page about lamps") == 1
    assert "Fish & chips – café" in found


def test_scripts_in_html_are_not_text(tmp_path: Path) -> None:
    found = text_of(tmp_path, text.html_with_script("Readable words", "stolencookie"), "text/html")
    assert "Readable words" in found
    assert "stolencookie" not in found


@pytest.mark.parametrize(
    "declaration", ['<meta charset="windows-1251">', '<meta http-equiv=x content="text/html; charset=cp1251">']
)
def test_html_is_read_in_the_encoding_it_declares(tmp_path: Path, declaration: str) -> None:
    content = f"<html><head>{declaration}</head><body>Привет</body></html>".encode("cp1251")
    assert text_of(tmp_path, content, "text/html") == "Привет"


@pytest.mark.parametrize("content", [b"", b" ", b"<", b"\0\0\0", b"<div>" * 20_000, b"&#xd800; &#0; &#x110000;"])
def test_html_of_any_quality_is_read(tmp_path: Path, content: bytes) -> None:
    assert "div" not in text_of(tmp_path, content, "text/html")


MAIL = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=XX\r\n\r\n"
    b"--XX\r\nContent-Type: multipart/alternative; boundary=YY\r\n\r\n"
    b"--YY\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"See you at the caf=E9\r\n--YY\r\nContent-Type: text/html\r\n\r\n<p>See you there, in HTML</p>\r\n--YY--\r\n"
    b'--XX\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="notes.txt"\r\n\r\n'
    b"Remember the lamp\r\n"
    b'--XX\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="plan.pdf"\r\n\r\nJVBERi0=\r\n'
    b"--XX\r\nContent-Type: message/rfc822\r\n\r\nSubject: Forwarded\r\n\r\nOlder words\r\n--XX--\r\n"
)


def test_mail_gives_headers_body_and_what_is_attached(tmp_path: Path) -> None:
    found = text_of(tmp_path, MAIL, "message/rfc822")
    for words in ("Subject: Café", "Ann", "See you at the café", "notes.txt", "Remember the lamp", "plan.pdf"):
        assert words in found
    assert "Subject: Forwarded" in found
    assert "Older words" in found
    assert "in HTML" not in found
    assert "JVBERi0" not in found


def test_mail_in_html_alone_is_read_as_a_page(tmp_path: Path) -> None:
    content = b"From: a@example.org\r\nContent-Type: text/html\r\n\r\n<div>Hello <b>Bob</b></div><script>x()</script>"
    assert text_of(tmp_path, content, "message/rfc822").endswith("Hello Bob")


@pytest.mark.parametrize(
    "header", [b"From: <<<>>>;;@", b"Date: 99 Foo -1", b"Subject: =?x-none?q?=ff?=", b"To: \xff\xfe"]
)
def test_mail_with_headers_that_no_standard_allows_is_read(tmp_path: Path, header: bytes) -> None:
    assert "the body" in text_of(tmp_path, header + b"\r\n\r\nthe body", "message/rfc822")


def test_what_has_no_mail_headers_is_no_mail(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="corrupt"):
        read(tmp_path, b"\x00\x01 not a mail", "message/rfc822")


def test_word_gives_headings_paragraphs_tables_and_notes(tmp_path: Path) -> None:
    found = text_of(
        tmp_path, office.docx("Lamps", ["First paragraph.", "Второй"], [("part", "count"), ("lamp", "2")]), DOCX
    )
    assert found.split() == ["Lamps", "First", "paragraph.", "Второй", "part", "count", "lamp", "2"]


def test_word_gives_styled_words_without_markup(tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("plain ")
    paragraph.add_run("bold").bold = True
    paragraph.add_run(" and *starred*").italic = True
    out = BytesIO()
    document.save(out)
    assert text_of(tmp_path, out.getvalue(), DOCX) == "plain bold and *starred*"


def test_a_workbook_gives_every_sheet_without_its_empty_cells(tmp_path: Path) -> None:
    found = text_of(
        tmp_path, office.xlsx({"Parts": [("part", "count"), ("lamp", 2)], "Far": [["x"], [""] * 9 + ["y"]]}), XLSX
    )
    assert found.split() == ["Parts", "part", "count", "lamp", "2", "Far", "x", "y"]
    assert "  " not in found


def test_slides_are_pages(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    for title in ("First", "", "Third"):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = title
    deck.slides[0].notes_slide.notes_text_frame.text = "said aloud"
    out = BytesIO()
    deck.save(out)
    found = read(tmp_path, out.getvalue(), PPTX)
    assert (found.paged, found.page_count, len(found.pages)) == (True, 3, 3)
    assert "First" in found.pages[0]
    assert "said aloud" in found.pages[0]
    assert found.pages[1:] == ["", "Third"]


def _changed(content: bytes, **parts: Callable[[str], str]) -> bytes:
    """The zip with the named parts (`__` for `/`, no ending) changed."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            change = parts.get(name.removesuffix(".xml").replace("/", "__"))
            new.writestr(name, change(old.read(name).decode()) if change else old.read(name))
    return out.getvalue()


def test_a_word_that_is_styled_in_parts_stays_one_word_on_a_slide(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    paragraph = deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text_frame.paragraphs[0]
    for part in ("M", "ay", "be"):
        paragraph.add_run().text = part
    out = BytesIO()
    deck.save(out)
    assert text_of(tmp_path, out.getvalue(), PPTX) == "Maybe"


def test_a_table_and_a_chart_on_a_slide_give_their_words(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    grid = slide.shapes.add_table(1, 2, 0, 0, 9525, 9525).table
    grid.cell(0, 0).text, grid.cell(0, 1).text = "lamp", "two"
    data = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["Spring", "Autumn"]
    data.add_series("Lichens", (3, 5))  # type: ignore[no-untyped-call]
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9525, 9525, data)
    out = BytesIO()
    deck.save(out)
    assert text_of(tmp_path, out.getvalue(), PPTX).split() == ["lamp", "two", "Lichens", "Spring", "Autumn"]


def test_a_slide_with_a_picture_that_is_linked_or_missing_is_read(tmp_path: Path) -> None:
    picture = "<p:pic><p:nvPicPr/><p:blipFill/><p:spPr/></p:pic><p:pic><p:blipFill><a:blip/></p:blipFill></p:pic>"
    content = _changed(
        office.pptx([("A title", "A line")]),
        ppt__slides__slide1=lambda xml: xml.replace("</p:spTree>", f"{picture}</p:spTree>"),
    )
    assert text_of(tmp_path, content, PPTX).split() == ["A", "title", "A", "line"]


def test_a_slide_that_is_no_xml_leaves_the_others_readable(tmp_path: Path) -> None:
    content = _changed(office.pptx([("One", "x"), ("Two", "y")]), ppt__slides__slide1=lambda _: "\0")
    assert [page.split() for page in read(tmp_path, content, PPTX).pages] == [[], ["Two", "y"]]


def test_slides_are_read_only_as_far_as_the_characters_allowed(tmp_path: Path) -> None:
    found = read(tmp_path, office.pptx([("One", "x"), ("Two", "y")]), PPTX, Limits(characters=2))
    assert (len(found.pages), found.page_count, found.cut) == (1, 2, True)


def test_more_slides_than_pages_are_allowed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="limit: The presentation has 2 slides"):
        read(tmp_path, office.pptx([("One", "x"), ("Two", "y")]), PPTX, Limits(pages=1))


def test_the_head_and_the_foot_of_a_letter_are_read_once(tmp_path: Path) -> None:
    letter = docx.Document()
    letter.add_paragraph("Dear reader")
    letter.sections[0].header.paragraphs[0].text = "Lichen Society"
    letter.sections[0].footer.paragraphs[0].text = "Registered in Oslo"
    second = letter.add_section()
    second.header.is_linked_to_previous = False
    second.header.paragraphs[0].text = "Lichen Society"
    second.footer.is_linked_to_previous = False
    second.footer.paragraphs[0].text = "2"
    out = BytesIO()
    letter.save(out)
    assert text_of(tmp_path, out.getvalue(), DOCX) == "Lichen Society\n\nDear reader\n\nRegistered in Oslo"


def test_a_picture_in_rich_text_leaves_no_words_of_ours(tmp_path: Path) -> None:
    picture = images.png(width=20, height=20).hex()
    content = rb"{\rtf1\ansi Before.\par{\pict\pngblip " + picture.encode() + rb"}\par After.}"
    assert text_of(tmp_path, content, "application/rtf").split() == ["Before.", "After."]


def test_rich_text(tmp_path: Path) -> None:
    content = rb"{\rtf1\ansi{\fonttbl\f0 Times;}\f0 Hello \b bold\b0  caf\'e9.\par Second line.}"
    assert text_of(tmp_path, content, "application/rtf").split() == ["Hello", "bold", "café.", "Second", "line."]


def _zip(**entries: str) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def _odt(body: str) -> bytes:
    oasis = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{oasis}:office:1.0" xmlns:text="{oasis}:text:1.0">'
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    return _zip(mimetype=ODT, **{"content.xml": content})


def _open_document(kind: str, body: str) -> bytes:
    oasis = "urn:oasis:names:tc:opendocument:xmlns"
    spaces = " ".join(
        f'xmlns:{short}="{oasis}:{name}:1.0"'
        for short, name in {
            "office": "office", "text": "text", "table": "table", "draw": "drawing", "presentation": "presentation",
        }.items()
    )  # fmt: skip
    content = (
        f"<office:document-content {spaces}><office:body><office:{kind}>{body}</office:{kind}></office:body>"
        "</office:document-content>"
    )
    manifest = f'<m:manifest xmlns:m="{oasis}:manifest:1.0"/>'
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    return _zip(mimetype=media_type, **{"META-INF/manifest.xml": manifest, "content.xml": content})


def test_an_open_presentation_gives_a_page_for_each_slide(tmp_path: Path) -> None:
    content = _open_document(
        "presentation",
        """<draw:page><draw:frame><draw:text-box><text:p>Ma<text:span>y</text:span>be<text:s/>so</text:p>
        <text:list><text:list-item><text:p>A point</text:p></text:list-item></text:list></draw:text-box></draw:frame>
        <table:table><table:table-row><table:table-cell><text:p>lamp</text:p></table:table-cell><table:table-cell>
        <text:p>two</text:p></table:table-cell></table:table-row></table:table>
        <presentation:notes><text:p>said aloud</text:p><text:p><text:page-number>7</text:page-number></text:p>
        </presentation:notes></draw:page><draw:page/>""",
    )
    found = read(tmp_path, content, ODP)
    assert found.pages == ["Maybe so\nA point\nlamp\ttwo\nsaid aloud", ""]
    assert (found.paged, found.page_count) == (True, 2)


def test_an_open_workbook_gives_its_cells(tmp_path: Path) -> None:
    cell = '<table:table-cell office:value-type="{}"><text:p>{}</text:p></table:table-cell>'
    row = cell.format("string", "lamp") + cell.format("string", "two")
    body = f'<table:table table:name="Parts"><table:table-row>{row}</table:table-row></table:table>'
    content = _open_document("spreadsheet", body)
    assert text_of(tmp_path, content, ODS).split() == ["Parts", "lamp", "two"]


def test_open_document_text(tmp_path: Path) -> None:
    content = _odt("<text:h>Lamps</text:h><text:p>One <text:span>red</text:span> lamp.</text:p>")
    assert text_of(tmp_path, content, ODT).split() == ["Lamps", "One", "red", "lamp."]


def test_a_book_gives_its_chapters_in_the_order_of_its_spine(tmp_path: Path) -> None:
    chapter = '<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{0}</h1><div>words of {0}</div></body></html>'
    content = _zip(
        mimetype=EPUB,
        **{
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            "c.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><manifest>'
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="b"/><itemref idref="a"/></spine></package>',
            "a.xhtml": chapter.format("Later"),
            "b.xhtml": chapter.format("Earlier"),
        },
    )
    assert text_of(tmp_path, content, EPUB).split() == [
        "Earlier",
        "words",
        "of",
        "Earlier",
        "Later",
        "words",
        "of",
        "Later",
    ]


def test_a_pdf_gives_the_text_layer_of_each_page(tmp_path: Path) -> None:
    found = read(tmp_path, pdf.pages(["The first page of words.", "The second page of words."]), PDF)
    assert found.pages == ["The first page of words.", "The second page of words."]
    assert (found.paged, found.page_count, found.scanned) == (True, 2, [])


def test_a_pdf_without_text_is_scanned_and_an_empty_page_is_not(tmp_path: Path) -> None:
    assert read(tmp_path, pdf.scanned("One", "Two"), PDF).scanned == [1, 2]
    assert read(tmp_path, pdf.empty_page(), PDF).scanned == []


def test_a_long_pdf_is_read_only_as_far_as_the_characters_allowed(tmp_path: Path) -> None:
    found = read(
        tmp_path, pdf.pages([f"These are the words of page {n}." for n in range(50)]), PDF, Limits(characters=100)
    )
    assert found.cut
    assert found.page_count == 50
    assert len(found.pages) < 10


@pytest.mark.parametrize(("make", "media_type"), [(images.png, "image/png"), (images.jpeg, "image/jpeg")])
def test_a_picture_is_one_scanned_page(tmp_path: Path, make: type, media_type: str) -> None:
    found = read(tmp_path, make(), media_type)
    assert (found.pages, found.page_count, found.scanned) == ([""], 1, [1])


def test_every_family_in_the_registry_is_found_by_its_media_type() -> None:
    assert all(family_of(media_type) is family for media_type, family in FAMILIES.items())


@pytest.mark.parametrize("media_type", ["application/x-executable", "video/mp4", "", "nonsense"])
def test_a_type_that_nobody_reads_is_unsupported(media_type: str) -> None:
    with pytest.raises(Unreadable, match="unsupported"):
        family_of(media_type)
