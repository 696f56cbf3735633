"""Names made safe to show and to compare."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quire_gateway.names import clean, clean_filename, clean_folder, title_of

FORBIDDEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
BIDI = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")
AWKWARD = st.text(
    st.one_of(st.characters(), st.sampled_from("/\\ .\u200d\u202e\x00\x7f\r\n\t\u0301e\u200b\u2028\ud800_")),
    max_size=400,
)


def _showable(text: str) -> None:
    for character in text:
        assert unicodedata.category(character) not in FORBIDDEN, f"{character!r} in {text!r}"
        assert character not in BIDI
    assert text == text.strip()
    assert text == unicodedata.normalize("NFC", text)
    text.encode()


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\letter.docx", "letter.docx"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("a\x00b\r\nc.txt", "ab c.txt"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("..", "unnamed"),
        ("a/", "unnamed"),
        ("\u202e\x01", "unnamed"),
        ("\u200d", "unnamed"),
        ("e\u0301te\u0301.txt", "été.txt"),
        ("👩\u200d🚀.txt", "👩\u200d🚀.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        ("x" * 300, "x" * 255),
    ],
)
def test_file_names(given_name: str | None, shown: str) -> None:
    assert clean_filename(given_name) == shown


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("", "/"), ("/", "/"), ("a", "/a"), ("/a/b/", "/a/b"), ("//a//b", "/a/b"), ("a\\b", "/a/b"),
        ("/a/../../b", "/a/b"), ("/./a", "/a"), ("/ a /\x00/ b", "/a/b"), ("/\u202e/x", "/x"), ("/.\u202e./x", "/x"),
    ],
)  # fmt: skip
def test_folders(path: str, folder: str) -> None:
    assert clean_folder(path) == folder


@pytest.mark.parametrize(
    ("filename", "title"),
    [
        ("annual_report__2025.final.pdf", "annual report 2025.final"), (".bashrc", ".bashrc"), ("README", "README"),
        ("_.txt", "_.txt"), ("unnamed", "unnamed"), ("a.", "a."),
    ],
)  # fmt: skip
def test_titles(filename: str, title: str) -> None:
    assert title_of(filename) == title


@given(AWKWARD)
@example("a" * 254 + " b")
@example("e\u200b\u0301")
@example("." * 254 + " .a")
def test_a_cleaned_file_name_is_showable_short_one_component_and_stays_as_it_is(name: str) -> None:
    cleaned = clean_filename(name)
    _showable(cleaned)
    assert cleaned
    assert len(cleaned) <= 255
    assert not set(cleaned) & set("/\\")
    assert cleaned not in {".", ".."}
    assert clean_filename(cleaned) == cleaned


@given(AWKWARD)
@example("/" + "a" * 254 + " b/c")
@example("/e\u200b\u0301/.\u200b.")
def test_a_cleaned_folder_is_an_absolute_path_that_points_nowhere_else_and_stays_as_it_is(path: str) -> None:
    cleaned = clean_folder(path)
    assert cleaned.startswith("/")
    assert cleaned == "/" or not cleaned.endswith("/")
    for part in cleaned[1:].split("/") if cleaned != "/" else []:
        _showable(part)
        assert part not in {"", ".", ".."}
        assert "\\" not in part
    assert clean_folder(cleaned) == cleaned


@given(AWKWARD)
def test_every_file_name_makes_a_title(name: str) -> None:
    title = title_of(clean_filename(name))
    assert title
    assert title == title.strip()
    _showable(title)


@given(AWKWARD, st.integers(1, 50))
def test_cleaning_keeps_to_its_limit_and_does_nothing_a_second_time(name: str, limit: int) -> None:
    cleaned = clean(name, limit)
    _showable(cleaned)
    assert len(cleaned) <= limit
    assert clean(cleaned, limit) == cleaned


@pytest.mark.parametrize("cleaning", [clean_filename, clean_folder, title_of])
def test_a_very_long_name_is_no_work(cleaning: Callable[[str], str]) -> None:
    assert len(cleaning("a/ \u0301" * 100_000)) <= 400_001
