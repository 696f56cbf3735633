"""The text builders make what they claim."""

import csv
import io
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree
from xml.parsers import expat

import pytest

from tests.support.documents import text


def test_the_encodings_hold_the_same_words() -> None:
    assert text.utf8().decode("utf-8") == text.PANGRAM
    assert text.utf16().decode("utf-16") == text.PANGRAM
    assert text.latin1().decode("latin-1") == text.PANGRAM
    assert text.utf16().startswith(b"\xff\xfe")


@pytest.mark.parametrize("data", [text.latin1(), text.with_lone_surrogates(), text.with_bad_utf8()])
def test_damaged_text_is_not_valid_utf8(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")


def test_damaged_text_keeps_the_words_around_the_damage() -> None:
    for data in (text.with_lone_surrogates(), text.with_bad_utf8()):
        words = data.decode("utf-8", "replace").split()
        assert (words[0], words[-1]) == ("before", "after")
    assert "\ud83d" in text.with_lone_surrogates().decode("utf-8", "surrogatepass")
    assert text.with_nuls().count(b"\0") == 2


def test_the_long_line_is_as_long_as_asked_and_has_no_break() -> None:
    data = text.long_line(100_000)
    assert len(data) == 100_000
    assert b"\n" not in data
    assert set(data.split()[:-1]) == {b"lichen"}


def test_the_table_holds_quotes_commas_and_line_breaks() -> None:
    rows = list(csv.reader(io.StringIO(text.csv().decode(), newline="")))
    assert rows[0] == ["name", "remark", "count"]
    assert rows[1][:2] == ["Devlin, Mara", 'said "clear" at dusk']
    assert rows[2][1] == "first line\nsecond line"
    assert {len(row) for row in rows} == {3}


def test_markdown_and_html_hold_their_title_and_body() -> None:
    assert b"# A title\n\nA body." in text.markdown("A title", "A body.")
    visible = Visible.of(text.html("A title"))
    assert "A title" in visible
    assert "Fish & chips – café" in visible


@pytest.mark.parametrize("build", [text.html_with_script, text.svg_with_script])
def test_what_is_hidden_stands_outside_the_visible_text(build: Callable[[str, str], bytes]) -> None:
    data = build("Shown words", "hiddenword")
    assert data.count(b"hiddenword") >= 3
    assert "Shown words" in Visible.of(data)
    assert "hiddenword" not in Visible.of(data)


class Visible(HTMLParser):
    """Collects the text that a browser would show."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = False
        self.parts: list[str] = []

    @classmethod
    def of(cls, data: bytes) -> str:
        parser = cls()
        parser.feed(data.decode())
        return "".join(parser.parts)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden = tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self.hidden = False

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def test_xml_is_well_formed() -> None:
    assert "".join(ElementTree.fromstring(text.xml("Shown words")).itertext()).strip() == "MaraShown words"


def test_the_laughs_multiply_by_ten_at_every_level() -> None:
    assert ElementTree.fromstring(text.billion_laughs(3)).text == "ha" * 1000
    assert len(text.billion_laughs()) < 2048


def test_the_external_entity_names_its_target() -> None:
    asked: list[str | None] = []

    def fetch(context: str, base: str | None, system_id: str | None, public_id: str | None) -> int:
        asked.append(system_id)
        return 1

    parser = expat.ParserCreate()
    parser.ExternalEntityRefHandler = fetch
    parser.Parse(text.xxe("file:///etc/hostname"), True)
    assert asked == ["file:///etc/hostname"]
