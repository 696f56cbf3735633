"""Blocks as a PDF, by typst with the fonts inside its wheel: no package, no network, no file but the template."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import typst

from .blocks import Block

TEMPLATE = Path(__file__).with_name("page.typ")
WIDE = 8
"""Columns of a table from which the paper is turned."""


def pdf(blocks: Sequence[Block], folder: Path) -> bytes:
    """The blocks on A4 paper. `folder` is all that typst could read, were it asked to."""
    wide = max((len(block.get("columns", ())) for block in blocks), default=0) >= WIDE
    # Read as JSON inside the template: strings stay strings, whatever they say.
    document = json.dumps({"wide": wide, "blocks": list(blocks)}, ensure_ascii=False)
    compiler = typst.Compiler(
        TEMPLATE.read_bytes(), root=folder, font_paths=_fonts(), sys_inputs={"document": document}
    )
    made = compiler.compile(format="pdf", pdf_tags=False)
    assert isinstance(made, bytes)
    return made


@functools.cache
def _fonts() -> typst.Fonts:
    """The embedded fonts, and behind them whatever the system has for scripts and emoji that they lack."""
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True)
