"""Writes a sample as HTML, an e-book, an OpenDocument text or RTF."""

from html import escape

from demo.archive import WRITTEN_XML, pack
from demo.blocks import Block, Heading, Items, PageBreak, Paragraph, Table, blocks, sections

OASIS = "urn:oasis:names:tc:opendocument:xmlns"
STYLE = "body{font-family:sans-serif;max-width:44em;margin:2em auto}td,th{border:1px solid #999;padding:.3em .6em}"


def html(source: str, title: str, language: str) -> bytes:
    """One page with its title, language and a little style."""
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{_elements(blocks(source))}</body>\n</html>\n"
    ).encode()


def epub(source: str, title: str, language: str) -> bytes:
    """An EPUB 3 book: a chapter for each section, and a table of contents."""
    chapters = {f"chapter{n}.xhtml": section for n, section in enumerate(sections(source), start=1)}
    xhtml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops" xml:lang="{language}"><head><title>%s</title></head>'
        "<body>%s</body></html>"
    )
    links = "".join(f'<li><a href="{file}">{escape(name)}</a></li>' for file, (name, _) in chapters.items())
    contents = f'<nav epub:type="toc"><h1>{escape(title)}</h1><ol>{links}</ol></nav>'
    ids = [file.removesuffix(".xhtml") for file in chapters]
    spine = "".join(f'<itemref idref="{i}"/>' for i in ids)
    manifest = "".join(f'<item id="{i}" href="{i}.xhtml" media-type="application/xhtml+xml"/>' for i in ids)
    package = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
        'unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:corran-ridge:{escape(title)}</dc:identifier><dc:title>{escape(title)}</dc:title>'
        f"<dc:language>{language}</dc:language><dc:creator>Corran Ridge Station</dc:creator>"
        f'<meta property="dcterms:modified">{WRITTEN_XML.decode()}</meta></metadata><manifest>'
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        f"{manifest}</manifest><spine>{spine}</spine></package>"
    )
    container = (
        '<?xml version="1.0"?>\n<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="content.opf" media-type="application/oebps-package+xml"/></rootfiles>'
        "</container>"
    )
    entries = [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", container),
        ("content.opf", package),
        ("nav.xhtml", xhtml % (escape(title), contents)),
    ]
    for file, (name, body) in chapters.items():
        entries.append((file, xhtml % (escape(name), f"<h1>{escape(name)}</h1>{_elements(body)}")))
    return pack((name, content.encode()) for name, content in entries)


def odt(source: str, title: str) -> bytes:
    """An OpenDocument text with headings, lists and tables, written part by part."""
    kind = "application/vnd.oasis.opendocument.text"
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document-content xmlns:office="{OASIS}:office:1.0" '
        f'xmlns:text="{OASIS}:text:1.0" xmlns:table="{OASIS}:table:1.0" office:version="1.3">'
        f"<office:body><office:text>{''.join(map(_odf, blocks(source)))}</office:text></office:body>"
        "</office:document-content>"
    )
    meta = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document-meta xmlns:office="{OASIS}:office:1.0" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" office:version="1.3"><office:meta><dc:title>{escape(title)}'
        f"</dc:title><dc:creator>Corran Ridge Station</dc:creator></office:meta></office:document-meta>"
    )
    files = "".join(
        f'<manifest:file-entry manifest:full-path="{path}" manifest:media-type="{media}"/>'
        for path, media in (("/", kind), ("content.xml", "text/xml"), ("meta.xml", "text/xml"))
    )
    manifest = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<manifest:manifest xmlns:manifest="{OASIS}:manifest:1.0" '
        f'manifest:version="1.3">{files}</manifest:manifest>'
    )
    entries = (("mimetype", kind), ("content.xml", content), ("meta.xml", meta), ("META-INF/manifest.xml", manifest))
    return pack((name, part.encode()) for name, part in entries)


def rtf(source: str, title: str) -> bytes:
    """Rich text in ASCII: letters beyond it are escapes, table cells stand behind tabs."""
    body = "".join(_rich(block) for block in blocks(source))
    head = f"{{\\fonttbl{{\\f0 Helvetica;}}}}{{\\info{{\\title {_plain(title)}}}}}"
    return f"{{\\rtf1\\ansi\\deff0{head}\n{body}}}".encode()


def _elements(parts: list[Block]) -> str:
    return "".join(_element(block) for block in parts)


def _element(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{escape(text)}</h{level}>\n"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>\n"
        case Items(texts):
            return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>\n"
        case Table(rows):
            lines = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
            return f"<table>{''.join(lines)}</table>\n"
        case PageBreak():
            return "<hr/>\n"


def _odf(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f'<text:h text:outline-level="{level}">{escape(text)}</text:h>'
        case Paragraph(text):
            return f"<text:p>{escape(text)}</text:p>"
        case Items(texts):
            points = (f"<text:list-item><text:p>{escape(text)}</text:p></text:list-item>" for text in texts)
            return f"<text:list>{''.join(points)}</text:list>"
        case Table(rows):
            column = f'<table:table-column table:number-columns-repeated="{len(rows[0])}"/>'
            cell = '<table:table-cell office:value-type="string"><text:p>%s</text:p></table:table-cell>'
            lines = (f"<table:table-row>{''.join(cell % escape(t) for t in row)}</table:table-row>" for row in rows)
            return f"<table:table>{column}{''.join(lines)}</table:table>"
        case PageBreak():
            return "<text:p/>"


def _rich(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"\\pard\\sb240\\sa120\\b\\fs{40 - 8 * level} {_plain(text)}\\b0\\par\n"
        case Paragraph(text):
            return f"\\pard\\sa120\\fs22 {_plain(text)}\\par\n"
        case Items(texts):
            return "".join(f"\\pard\\li360\\fs22 \\bullet  {_plain(text)}\\par\n" for text in texts)
        case Table(rows):
            return "".join("\\pard\\fs22 " + "\\tab ".join(map(_plain, row)) + "\\par\n" for row in rows)
        case PageBreak():
            return "\\page\n"


def _plain(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("{", "\\{").replace("}", "\\}")
    return "".join(char if char < "\x80" else f"\\u{ord(char)}?" for char in escaped)
