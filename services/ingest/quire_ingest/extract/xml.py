"""XML of any vocabulary, SVG among them: its character data and attribute values. Entities are never resolved."""

import re
from xml.parsers import expat

from .encoding import decode
from .result import Extraction, Source, Unreadable

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BLANK_LINES = re.compile(r"\s*\n\s*")
_UNREAD = frozenset({"script", "style"})
_MAX_DEPTH = 1_000


class _Reader:
    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self.left = limit
        self.attributes = True
        self.depth = 0
        self.unread_from: int | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Unreadable("limit", f"The XML is nested deeper than {_MAX_DEPTH} elements.")
        if self.unread_from is None and name.rpartition(":")[2].lower() in _UNREAD:
            self.unread_from = self.depth
        if self.depth == 1 and name.rpartition(":")[2] == "svg":
            self.attributes = False  # of a drawing they are coordinates and colours
        self.add("\n")
        if self.attributes:
            for key, value in attributes.items():
                if not key.startswith("xmlns"):
                    self.add(value + "\n")

    def end(self, _name: str) -> None:
        if self.unread_from == self.depth:
            self.unread_from = None
        self.depth -= 1
        self.add("\n")

    def add(self, text: str) -> None:
        if self.unread_from is None and self.left > 0:
            self.parts.append(text)
            self.left -= len(text)


def extract(source: Source) -> Extraction:
    """The text between the tags, one line an element. Raises `Unreadable` for broken XML and for declared entities."""
    data = source.path.read_bytes()
    declared = _DECLARED.match(data[:200])
    reader = _Reader(source.limits.characters)
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.add
    parser.EntityDeclHandler = _refuse_entity
    text = decode(data, declared[1].decode() if declared else None)
    try:
        parser.Parse(text.lstrip("\ufeff \t\r\n").encode(errors="replace"), True)
    except expat.ExpatError as error:
        raise Unreadable("corrupt", f"The XML is not well-formed: {error}.") from None
    return Extraction(pages=[_BLANK_LINES.sub("\n", "".join(reader.parts))], cut=reader.left <= 0)


def _refuse_entity(name: str, *_: object) -> None:
    raise Unreadable(
        "corrupt", f"The XML declares an entity ({name[:40]}); documents with entities of their own are not read."
    )
