"""The hostile builders do no harm to whoever builds: they are small, and building them takes little memory."""

import tracemalloc
from collections.abc import Callable

import pytest

from tests.support.documents import images, office, pdf, text

HOSTILE = [
    pdf.page_tree,
    pdf.xref_loop,
    pdf.flate_bomb,
    images.huge_png,
    office.zip_slip_docx,
    office.symlink_docx,
    office.swollen_docx,
    office.nested_zip_bomb,
    office.overlapping_zip_bomb,
    text.long_line,
    text.billion_laughs,
    text.xxe,
]


@pytest.mark.parametrize("build", HOSTILE, ids=lambda build: build.__name__)
def test_a_hostile_file_is_small_and_cheap_to_build(build: Callable[[], bytes]) -> None:
    tracemalloc.start()
    try:
        size = len(build())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size <= 2 << 20
    assert peak < 48 << 20
