"""Text of every kind as pictures: what the user wrote is shown, and none of it is ever obeyed."""

import time
from email.message import EmailMessage
from pathlib import Path

import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pytest

from quire_previewer.render import text, typeset
from tests.integration.previewer.pictures import difference, ink, ink_box, rendered
from tests.support.documents import text as texts

HOSTILE = """#set page(fill: red)
#panic("reached") #read("/etc/passwd") #eval("1+1") #import "@preview/cmarker:0.1.0"
$x^2$ *bold* _em_ `raw` ``` = heading @label <label> // line /* block */ \\ "quote" 'q' [content] {code} ~ --- #
sys.inputs.document \\u{1F600} \\n \\"
"""


def words(content: bytes, media_type: str, folder: Path, pages: int = 10) -> str:
    """What stands on the typeset pages."""
    (folder / "content").write_bytes(content)
    blocks, _ = text.blocks(folder / "content", media_type, pages)
    document = pdfium.PdfDocument(typeset.pdf(blocks, folder))
    found = "\n".join(page.get_textpage().get_text_range() for page in document)
    return found.replace("\u200b", "").replace("\r\n", "\n").replace("\ufffe", "")


@pytest.mark.parametrize("media_type", ["text/plain", "text/csv", "text/html", "message/rfc822", "application/json"])
def test_typst_code_in_a_text_is_text(tmp_path: Path, media_type: str) -> None:
    content = HOSTILE if media_type != "message/rfc822" else f"Subject: #panic()\n\n{HOSTILE}"
    shown = words(content.encode(), media_type, tmp_path)
    assert "#panic(" in shown
    assert "root:" not in shown
    made = rendered(tmp_path / "picture", content.encode(), media_type)
    assert made.count == 1
    assert 0 < ink(made.pages[0]) < 0.2, "the page was not painted"


def test_typst_code_in_markdown_is_text(tmp_path: Path) -> None:
    shown = words(
        b'# #panic(1)\n\n- #read("/etc/passwd")\n\n`#eval("2")`\n\n| #a | $b$ |\n|--|--|\n| @c | <d> |\n',
        "text/markdown",
        tmp_path,
    )
    for word in ("#panic(1)", '#read("/etc/passwd")', '#eval("2")', "#a", "$b$", "@c", "<d>"):
        assert word in shown


def test_plain_text_is_shown_word_for_word(tmp_path: Path) -> None:
    shown = words(b"one  two\n\tthree\nfour", "text/plain", tmp_path)
    assert shown.split() == ["one", "two", "three", "four"]


def test_ten_thousand_lines_stop_at_the_pages_that_are_wanted(tmp_path: Path) -> None:
    content = "\n".join(f"line {number}" for number in range(10_000)).encode()
    made = rendered(tmp_path, content, "text/plain", pages=3)
    assert len(made.pages) == 3
    assert made.count is None, "what is not laid out is not counted"
    assert min(ink(page) for page in made.pages) > 0.005, "each page is full"
    assert ink_box(made.pages[2])[3] > 0.85


def test_a_short_text_is_counted(tmp_path: Path) -> None:
    made = rendered(tmp_path, "\n".join(f"line {n}" for n in range(85)).encode(), "text/plain", pages=1)
    assert (made.count, len(made.pages)) == (2, 1)


@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown", "text/csv", "text/html"])
@pytest.mark.parametrize("content", [b"x" * 300_000, b"word " * 60_000], ids=["unbroken", "words"])
def test_a_very_long_line_is_broken_inside_the_margins(tmp_path: Path, media_type: str, content: bytes) -> None:
    made = rendered(tmp_path, content, media_type, pages=2)
    left, _, right, bottom = ink_box(made.pages[0])
    assert left > 0.05
    assert right < 0.95
    assert bottom < 0.96
    assert len(made.pages) == (1 if media_type == "text/csv" else 2)


def test_a_gigabyte_in_one_line_is_not_read_through(tmp_path: Path) -> None:
    sparse = tmp_path / "content"
    with sparse.open("wb") as file:
        file.write(b"beginning ")
        file.truncate(1 << 30)
    started = time.process_time()
    blocks, more = text.blocks(sparse, "text/plain", 2)
    assert more
    assert blocks[0]["text"].startswith("beginning")
    assert time.process_time() - started < 5


def test_right_to_left_text_begins_at_the_right(tmp_path: Path) -> None:
    hebrew = rendered(tmp_path / "he", "שלום עולם".encode(), "text/plain").pages[0]
    latin = rendered(tmp_path / "la", b"hello world", "text/plain").pages[0]
    assert ink_box(hebrew)[0] > 0.5
    assert ink_box(latin)[2] < 0.5


@pytest.mark.parametrize(
    "content",
    [
        "emoji 🎉👩‍👩‍👧 and 日本語",
        "\ud83d".encode(errors="surrogatepass").decode(errors="replace"),
        "́" * 500,
        "a\u202eb\u2066c",
    ],
)
def test_characters_no_font_has_still_make_a_page(tmp_path: Path, content: str) -> None:
    assert rendered(tmp_path, content.encode(), "text/plain").count == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (texts.utf8(), "Zwölf Boxkämpfer"),
        (texts.utf16(), "Zwölf Boxkämpfer"),
        (texts.latin1(), "Zwölf Boxkämpfer"),
        (b"\xef\xbb\xbfmarked", "marked"),
        ("Съешь же ещё этих мягких французских булок, да выпей чаю".encode("cp1251"), "французских"),
        (texts.with_nuls(), "beforebetweenafter"),
        (texts.with_lone_surrogates(), "before"),
        (texts.with_bad_utf8(), "after"),
    ],
)
def test_every_encoding_is_read(tmp_path: Path, content: bytes, expected: str) -> None:
    assert expected in words(content, "text/plain", tmp_path)


def test_utf8_cut_inside_a_character_is_still_utf8() -> None:
    assert text.decode("Grüße".encode()[:-2]) == "Grü"


def test_markdown_is_set_as_what_it_means(tmp_path: Path) -> None:
    shown = words(texts.markdown(), "text/markdown", tmp_path)
    for word in (
        "A short note",
        "Details",
        "first item",
        "second item with a link",
        "lamp",
        'print("code is text too")',
        "author: Test",
    ):
        assert word in shown
    for mark in ("# ", "```", "|", "](", "---"):
        assert mark not in shown


def test_the_readable_words_of_html_are_shown_and_its_scripts_are_not(tmp_path: Path) -> None:
    shown = words(texts.html_with_script(), "text/html", tmp_path)
    assert "Readable words <not a tag>" in shown
    assert "stolencookie" not in shown
    assert "Fish & chips – café" in words(texts.html(), "text/html", tmp_path)


def test_a_drawing_is_shown_as_its_source(tmp_path: Path) -> None:
    assert "Readable words" in words(texts.svg_with_script(), "image/svg+xml", tmp_path)


@pytest.mark.parametrize("content", [texts.billion_laughs(), texts.xxe()])
def test_entities_of_xml_are_not_expanded(tmp_path: Path, content: bytes) -> None:
    shown = words(content, "application/xml", tmp_path)
    assert "ENTITY" in shown
    assert "root:" not in shown
    assert len(shown) < 10_000


def test_a_table_is_set_as_a_table(tmp_path: Path) -> None:
    shown = words(texts.csv(), "text/csv", tmp_path)
    for cell in ("Devlin, Mara", 'said "clear" at dusk', "first line second line", "8"):
        assert cell in shown
    semicolons = rendered(tmp_path / "s", b"a;b;c\n1;2;3\n", "text/csv").pages[0]
    commas = rendered(tmp_path / "c", b"a,b,c\n1,2,3\n", "text/csv").pages[0]
    assert difference(semicolons, commas) == 0


def test_a_wide_table_turns_the_paper(tmp_path: Path) -> None:
    row = b",".join(b"column %d" % n for n in range(40))
    made = rendered(tmp_path, row + b"\n" + row, "text/csv")
    assert made.pages[0].size == (1200, 849)
    assert ink_box(made.pages[0])[2] < 0.97


def test_json_is_indented_and_broken_json_is_shown_as_it_is(tmp_path: Path) -> None:
    indented = rendered(tmp_path / "indented", b'{"a":[1,{"b":2}]}', "application/json").pages[0]
    assert ink_box(indented)[3] > 0.15, "several lines"
    for broken in ('{"a":[1,', "[" * 50_000):
        shown = words(broken.encode(), "application/json", tmp_path, pages=1)
        assert "".join(shown.split()).startswith(broken[:5000])


def test_a_mail_shows_who_wrote_what_to_whom(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ines <ines@example.org>", "mara@example.org", "Grüße #1"
    mail.set_content("The plain words.\n")
    mail.add_alternative("<p>The styled words.</p>", subtype="html")
    mail.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="plan.pdf")
    shown = words(mail.as_bytes(), "message/rfc822", tmp_path)
    for word in ("Grüße #1", "From: Ines <ines@example.org>", "To: mara@example.org", "The plain words.", "plan.pdf"):
        assert word in shown
    assert "styled" not in shown


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no headers at all",
        b'From: =?utf-8?b?!!!?= <\r\nTo: "unclosed <a@\r\nContent-Type: multipart/mixed; boundary=\r\n\r\nbody',
        b"Content-Type: text/plain; charset=klingon\r\nSubject: x\r\n\r\nbody \xff",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" * 200,
    ],
)
def test_a_malformed_mail_still_makes_a_page(tmp_path: Path, content: bytes) -> None:
    assert rendered(tmp_path, content, "message/rfc822").count == 1
