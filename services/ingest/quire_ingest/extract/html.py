"""HTML: the text a reader sees, one line for each block. Nothing is run and nothing is fetched."""

import re

from lxml import etree  # type: ignore[import-untyped]

from .encoding import decode
from .result import Extraction, Source, Unreadable

_CHARSET = re.compile(rb"""<meta[^>]{1,200}?charset\s*=\s*["']?\s*([A-Za-z0-9._-]{1,40})""", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_UNSEEN = {"script", "style", "template", "noscript", "head", "iframe", "object"}
_PARAGRAPHS = {
    "address", "article", "aside", "blockquote", "body", "details", "dialog", "dl", "div", "fieldset", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "nav", "ol", "p", "pre", "section",
    "table", "ul",
}  # fmt: skip
_LINES = {"br", "caption", "dd", "dt", "figcaption", "legend", "li", "option", "summary", "tr"}
_BEFORE = dict.fromkeys(_PARAGRAPHS, "\n\n") | dict.fromkeys(_LINES, "\n")
_AFTER = dict.fromkeys(_PARAGRAPHS, "\n\n") | dict.fromkeys(("td", "th"), "\t")
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_AROUND_BREAK = re.compile(r"[ \t]*\n[ \t]*")
_MANY_BREAKS = re.compile(r"\n{3,}")


def extract(source: Source) -> Extraction:
    """The title, where the page does not show it itself, and the text of the body."""
    data, cut = source.head()
    declared = _CHARSET.search(data[:4096]) or _XML_ENCODING.match(data[:200])
    return Extraction(pages=[text_of(decode(data, declared[1].decode() if declared else None))], cut=cut)


def text_of(markup: str) -> str:
    """The text of an HTML document or fragment; raises `Unreadable` for what no browser would take for HTML."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        root = etree.fromstring(markup.encode(errors="replace"), parser)
    except (etree.LxmlError, ValueError) as error:
        raise Unreadable("corrupt", f"The HTML cannot be parsed: {error}.") from None
    if root is None:
        return ""
    text = _MANY_BREAKS.sub("\n\n", _AROUND_BREAK.sub("\n", "".join(_pieces(root)))).strip()
    title = _SPACES.sub(" ", root.findtext(".//title") or "").strip()
    return text if title in text[:500] else f"{title}\n\n{text}"


def _pieces(root: etree._Element) -> list[str]:
    pieces: list[str] = []
    preformatted = 0
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        tag = element.tag
        if event == "start":
            if tag in _UNSEEN:
                walk.skip_subtree()
                continue
            preformatted += tag == "pre"
            pieces.append(_BEFORE.get(tag, ""))
            if tag == "img":
                pieces.append(f" {element.get('alt') or ''} ")
            own = element.text
        else:
            preformatted -= tag == "pre"
            pieces.append(_AFTER.get(tag, ""))
            own = element.tail
        if own:
            pieces.append(own if preformatted else _SPACES.sub(" ", own))
    return pieces
