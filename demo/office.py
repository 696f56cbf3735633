"""Writes a sample as a Word document, an Excel workbook or a PowerPoint deck."""

import io

import docx as word
import openpyxl  # type: ignore[import-untyped]
import pptx as powerpoint
from pptx.util import Pt

from demo.archive import repack
from demo.blocks import Heading, Items, PageBreak, Paragraph, Table, blocks, sections


def docx(source: str, title: str) -> bytes:
    """The text with Word's own heading, list and table styles."""
    document = word.Document()
    document.core_properties.title = title
    document.core_properties.author = "Corran Ridge Station"
    for block in blocks(source):
        match block:
            case Heading(level, text):
                document.add_heading(text, level)
            case Paragraph(text):
                document.add_paragraph(text)
            case Items(texts):
                for text in texts:
                    document.add_paragraph(text, style="List Bullet")
            case Table(rows):
                grid = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
                for row in rows:
                    for cell, text in zip(grid.add_row().cells, row, strict=True):
                        cell.text = text
            case PageBreak():
                document.add_page_break()  # type: ignore[no-untyped-call]
    out = io.BytesIO()
    document.save(out)
    return repack(out.getvalue())


def xlsx(source: str, title: str) -> bytes:
    """A sheet for each section, holding the rows of its tables; whole numbers become numbers."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.title = title
    book.properties.creator = "Corran Ridge Station"
    for name, body in sections(source):
        sheet = book.create_sheet(name)
        for table in body:
            if isinstance(table, Table):
                for row in table.rows:
                    sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
        for column in sheet.columns:
            widest = max(len(str(cell.value)) for cell in column)
            sheet.column_dimensions[column[0].column_letter].width = min(60, widest + 2)
    out = io.BytesIO()
    book.save(out)
    return repack(out.getvalue())


def pptx(source: str, title: str) -> bytes:
    """A title slide, then a slide for each section with the points of its lists."""
    deck = powerpoint.Presentation()
    deck.core_properties.title = title
    deck.core_properties.author = "Corran Ridge Station"
    opening = deck.slides.add_slide(deck.slide_layouts[0])
    opening.placeholders[0].text = title
    opening.placeholders[1].text = "Corran Ridge Station"
    for name, body in sections(source):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.placeholders[0].text = name
        points = [text for block in body if isinstance(block, Items) for text in block.texts]
        frame = slide.placeholders[1].text_frame
        frame.text = "\n".join(points)
        for paragraph in frame.paragraphs:
            paragraph.font.size = Pt(20)
    out = io.BytesIO()
    deck.save(out)
    return repack(out.getvalue())
