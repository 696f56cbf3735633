"""Markdown as blocks to typeset; HTML inside it stays the text it is."""

from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from .blocks import Block, Span, Style, code, heading, paragraph, rule, table

PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": 40}).enable("table")

STYLES: dict[str, Style] = {"strong_open": "strong", "em_open": "emph", "link_open": "link"}


def blocks(text: str) -> Iterator[Block]:
    """The blocks in their order; front matter between two lines of `---` is shown as code."""
    if text.startswith("---\n") and (end := text.find("\n---\n", 3)) > 0:
        yield code(text[4:end], "yaml")
        text = text[end + 5 :]
    yield from _blocks(PARSER.parse(text))


def _blocks(tokens: list[Token]) -> Iterator[Block]:
    lists: list[int | None] = []  # the number of the next item of each open list; none where it has bullets
    marker = ""
    quoted = 0
    rows: list[list[str]] = []
    level = 0
    for token in tokens:
        match token.type:
            case "bullet_list_open":
                lists.append(None)
            case "ordered_list_open":
                lists.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
            case "list_item_open":
                number = lists[-1]
                marker = "•" if number is None else f"{number}."
                lists[-1] = None if number is None else number + 1
            case "blockquote_open" | "blockquote_close":
                quoted += token.nesting
            case "heading_open":
                level = int(token.tag[1:])
            case "heading_close":
                level = 0
            case "table_open":
                rows = []
            case "tr_open":
                rows.append([])
            case "table_close":
                yield table(rows, head=True)
                rows = []
            case "inline" if rows:
                rows[-1].append("".join(text for _, text in spans(token)))
            case "inline" if level:
                yield heading(level, spans(token))
            case "inline":
                yield paragraph(spans(token), len(lists) + quoted, marker)
                marker = ""
            case "fence" | "code_block":
                yield code(token.content.rstrip("\n"), token.info.split()[0] if token.info.strip() else None)
            case "hr":
                yield rule()


def spans(inline: Token) -> list[Span]:
    """The runs of one style inside a paragraph."""
    found: list[Span] = []
    styles: list[Style] = []
    for token in inline.children or ():
        if token.type in STYLES:
            styles.append(STYLES[token.type])
        elif token.nesting == -1 and styles:
            styles.pop()
        elif token.type == "code_inline":
            found.append(("code", token.content))
        elif token.type in ("softbreak", "hardbreak"):
            found.append(("", "\n" if token.type == "hardbreak" else " "))
        elif token.content:
            found.append((styles[-1] if styles else "", token.content))
    return found
