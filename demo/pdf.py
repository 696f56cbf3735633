"""Draws a sample as a PDF with a text layer, headings, tables and page numbers."""

import io
from xml.sax.saxutils import escape

from reportlab.lib import colors  # type: ignore[import-untyped]
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet  # type: ignore[import-untyped]
from reportlab.lib.units import cm  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from reportlab.platypus import (  # type: ignore[import-untyped]
    Flowable,
    ListFlowable,
    SimpleDocTemplate,
    Spacer,
    TableStyle,
)
from reportlab.platypus import PageBreak as NewPage
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import Table as Grid

from demo.blocks import Block, Heading, Items, PageBreak, Paragraph, Table, blocks

STYLES = getSampleStyleSheet()
BODY = ParagraphStyle("Sample", parent=STYLES["BodyText"], fontSize=11, leading=16, spaceAfter=8)
RULES = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
)


def pdf(source: str, title: str) -> bytes:
    """The text on A4 pages; `---` begins a new one."""
    out = io.BytesIO()
    document = SimpleDocTemplate(out, pagesize=A4, title=title, author="Corran Ridge Station", invariant=1)
    document.build(
        [flowable for block in blocks(source) for flowable in _drawn(block, document.width)],
        onFirstPage=_number,
        onLaterPages=_number,
    )
    return out.getvalue()


def _drawn(block: Block, width: float) -> list[Flowable]:
    match block:
        case Heading(level, text):
            return [Text(escape(text), STYLES[f"Heading{level}"])]
        case Paragraph(text):
            return [Text(escape(text), BODY)]
        case Items(texts):
            points = [Text(escape(text), BODY) for text in texts]
            return [ListFlowable(points, bulletType="bullet", start="•", leftIndent=14), Spacer(0, 6)]
        case Table(rows):
            cells = [[Text(escape(cell), STYLES["BodyText"]) for cell in row] for row in rows]
            shares = [max(6, *(min(len(row[column]), 40) for row in rows)) for column in range(len(rows[0]))]
            widths = [width * share / sum(shares) for share in shares]
            return [Grid(cells, colWidths=widths, style=RULES), Spacer(0, 10)]
        case PageBreak():
            return [NewPage()]


def _number(canvas: Canvas, _: SimpleDocTemplate) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawRightString(A4[0] - 2 * cm, 1.2 * cm, f"Corran Ridge Station, page {canvas.getPageNumber()}")
