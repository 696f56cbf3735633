"""Which media types have pictures."""

from pathlib import Path

import pytest

from quire_previewer.render import render
from quire_previewer.render.families import OFFICE, base_type, family_of


@pytest.mark.parametrize(
    ("media_type", "family"),
    [
        ("application/pdf", "pdf"),
        ("image/jpeg", "image"),
        ("image/svg+xml", "text"),
        ("text/html", "text"),
        ("text/x-anything-else", "text"),
        ("application/ld+json", "text"),
        ("message/rfc822", "text"),
        ("text/rtf", "office"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "office"),
        ("application/zip", None),
        ("application/octet-stream", None),
        ("video/mp4", None),
        ("", None),
    ],
)
def test_every_media_type_has_its_family(media_type: str, family: str | None) -> None:
    assert family_of(media_type) == family


def test_parameters_and_case_do_not_matter() -> None:
    assert base_type("Text/Plain; charset=UTF-8") == "text/plain"


def test_office_documents_need_an_office(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"PK")
    with pytest.raises(ValueError, match="cannot be rendered"):
        render(tmp_path / "content", tmp_path, next(iter(OFFICE)), pages=1)
