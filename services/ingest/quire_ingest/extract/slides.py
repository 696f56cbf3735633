"""Presentations of PowerPoint and OpenDocument: a page for each slide, with its tables, charts and speaker's notes."""

import re
from collections.abc import Iterable, Iterator

from lxml import etree  # type: ignore[import-untyped]

from . import container
from .package import Package, opened, paragraphs
from .result import Extraction, Source, Unreadable

_PRESENTATION = "ppt/presentation.xml"
_SLIDE_ID = "{http://schemas.openxmlformats.org/presentationml/2006/main}sldId"
_REFERENCE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"

_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
_PAGE = f"{{{_OASIS}:drawing:1.0}}page"
_ROW = f"{{{_OASIS}:table:1.0}}table-row"
_TEXT = f"{{{_OASIS}:text:1.0}}"
_PARAGRAPHS = (f"{_TEXT}p", f"{_TEXT}h")
_WHITE = {f"{_TEXT}s": " ", f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}
_SPACES = re.compile(r"[ \t\r\n]+")


def extract(source: Source) -> Extraction:
    """The slides of a PowerPoint file in the order in which they are shown."""
    container.check(source, _PRESENTATION)
    with opened(source.path) as package:
        parts = {relation.id: relation.part for relation in package.relations(_PRESENTATION)}
        root = package.xml(_PRESENTATION)
        listed = [parts.get(entry.get(_REFERENCE)) for entry in root.iter(_SLIDE_ID)] if root is not None else []
        slides = [part for part in listed if part in package.names]
        return _pages(source, len(slides), (_slide(package, part) for part in slides))


def extract_open_document(source: Source) -> Extraction:
    """The slides of an OpenDocument presentation."""
    container.check(source, "content.xml")
    with opened(source.path) as package:
        root = package.xml("content.xml")
        slides = list(root.iter(_PAGE)) if root is not None else []
        return _pages(source, len(slides), map(_open_slide, slides))


def _pages(source: Source, count: int, slides: Iterable[str]) -> Extraction:
    if count > source.limits.pages:
        raise Unreadable("limit", f"The presentation has {count} slides; {source.limits.pages} are allowed.")
    found = Extraction(pages=[], paged=True, page_count=count)
    left = source.limits.characters
    for text in slides:
        found.pages.append(text)
        left -= len(text)
        if left <= 0:
            found.cut = True
            break
    return found


def _slide(package: Package, part: str) -> str:
    texts = [paragraphs(package.xml(part))]
    notes = []
    for relation in package.relations(part):
        if relation.kind in ("chart", "chartEx"):
            texts.append(_chart(package.xml(relation.part)))
        elif relation.kind == "diagramData":
            texts.append(paragraphs(package.xml(relation.part)))
        elif relation.kind == "notesSlide":
            notes.append(paragraphs(package.xml(relation.part)))
    return "\n\n".join(filter(None, texts + notes))


def _chart(root: etree._Element | None) -> str:
    """Its title and the names of its axes, series and categories; each once, and no numbers."""
    if root is None:
        return ""
    names = [value.text or "" for cache in root.iter(f"{_CHART}strCache") for value in cache.iter(f"{_CHART}v")]
    return "\n".join(dict.fromkeys(filter(None, [*paragraphs(root).splitlines(), *names])))


def _open_slide(page: etree._Element) -> str:
    lines: list[str] = []
    walk = etree.iterwalk(page, events=("start",), tag=(_ROW, *_PARAGRAPHS))
    for _, element in walk:
        walk.skip_subtree()
        if element.tag == _ROW:
            lines.append("\t".join(filter(None, ("".join(_written(cell)).strip() for cell in element))))
        else:
            lines.append("".join(_written(element)).strip())
    return "\n".join(filter(None, lines))


def _written(element: etree._Element) -> Iterator[str]:
    """The characters of a paragraph, or of a cell with its paragraphs, in their order."""
    inside = element.tag.startswith(_TEXT)
    if element.tag in _WHITE:
        yield _WHITE[element.tag]
    if inside:
        yield _SPACES.sub(" ", element.text or "")
    for child in element:
        if child.tag == f"{_TEXT}page-number":
            pass
        elif isinstance(child.tag, str):
            yield from _written(child)
        if inside:
            yield _SPACES.sub(" ", child.tail or "")
    if element.tag in _PARAGRAPHS:
        yield " "
