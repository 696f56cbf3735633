"""The readable text of HTML as blocks to typeset. Nothing is loaded, run or laid out as a browser would."""

from collections.abc import Iterator
from html.parser import HTMLParser

from .blocks import Block, Span, Style, code, heading, paragraph, rule, table

HIDDEN = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg", "math", "head", "select"})
ENDING = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "br", "dd", "details", "dialog", "div", "dl", "dt",
        "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
        "html", "li", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th",
        "thead", "tr", "ul",
    }
)  # fmt: skip
"""Elements that end the paragraph before them and the one inside them."""

STYLES: dict[str, Style] = {"b": "strong", "strong": "strong", "i": "emph", "em": "emph", "code": "code", "a": "link"}
HEADINGS = {f"h{level}": level for level in range(1, 7)}


def blocks(text: str) -> Iterator[Block]:
    """The blocks in their order; the title comes first where the page has no first-level heading."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    reader.end_paragraph()
    title = " ".join(reader.title.split())
    if title and not any(block.get("level") == 1 for block in reader.found):
        yield heading(1, [("", title)])
    yield from reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Block] = []
        self.title = ""
        self.spans: list[Span] = []
        self.styles: list[tuple[str, Style]] = []
        self.hidden: list[str] = []
        self.lists: list[int | None] = []
        self.rows: list[list[str]] | None = None
        self.level = 0
        self.marker = ""
        self.verbatim = False
        self.in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self.in_title = True
        if tag == "body":
            self.hidden.clear()  # a head that was never closed hides nothing else
        if tag in HIDDEN:
            self.hidden.append(tag)
        if self.hidden:
            return
        if tag in ENDING:
            self.end_paragraph()
        if tag in STYLES:
            self.styles.append((tag, STYLES[tag]))
        elif tag in HEADINGS:
            self.level = HEADINGS[tag]
        elif tag in ("ul", "ol"):
            self.lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            number = self.lists[-1] if self.lists else None
            self.marker = "•" if number is None else f"{number}."
            if number is not None:
                self.lists[-1] = number + 1
        elif tag == "pre":
            self.verbatim = True
        elif tag == "hr":
            self.found.append(rule())
        elif tag == "table" and self.rows is None:
            self.rows = []
        elif tag == "tr" and self.rows is not None:
            self.rows.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self.in_title = False
        if tag in self.hidden:
            del self.hidden[self.hidden.index(tag) :]
            return
        if self.hidden:
            return
        if tag in ENDING:
            self.end_paragraph(cell=tag in ("td", "th"))
        if tag in HEADINGS:
            self.level = 0
        elif tag in ("ul", "ol") and self.lists:
            self.lists.pop()
        elif tag == "pre":
            self.verbatim = False
        elif tag == "table" and self.rows is not None:
            rows = [row for row in self.rows if any(row)]
            self.rows = None
            if rows:
                self.found.append(table(rows, head=False))
        elif tag in STYLES:
            for at in range(len(self.styles) - 1, -1, -1):
                if self.styles[at][0] == tag:
                    del self.styles[at]
                    break

    def handle_data(self, data: str) -> None:
        if self.in_title:
            self.title += data
        if not self.hidden:
            self.spans.append((self.styles[-1][1] if self.styles else "", data))

    def end_paragraph(self, *, cell: bool = False) -> None:
        """What was read since the last one becomes a block, or a cell of the open table."""
        read, self.spans = self.spans, []
        if self.verbatim:
            text = "".join(text for _, text in read).strip("\n")
            if text:
                self.found.append(code(text))
            return
        spans = _folded(read)
        if self.rows is not None:
            if self.rows and (spans or cell):
                self.rows[-1].append("".join(text for _, text in spans))
        elif spans:
            if self.level:
                self.found.append(heading(self.level, spans))
            else:
                self.found.append(paragraph(spans, len(self.lists), self.marker))
                self.marker = ""


def _folded(spans: list[Span]) -> list[Span]:
    """The spans with white space as HTML has it: runs are one space, none at the ends."""
    found: list[Span] = []
    after_space = True
    for style, text in spans:
        folded = " ".join(text.split())
        lead = " " if text[:1].isspace() and not after_space else ""
        if folded:
            trail = " " if text[-1:].isspace() else ""
            found.append((style, lead + folded + trail))
            after_space = bool(trail)
        elif lead:
            found.append(("", lead))
            after_space = True
    return found if any(text.strip() for _, text in found) else []
