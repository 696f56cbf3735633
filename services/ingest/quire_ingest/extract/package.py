"""The XML parts of a zip container: opened without entities or network, and the paragraphs of those of Office."""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lxml import etree  # type: ignore[import-untyped]

from .result import Unreadable

_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_MANY_BREAKS = re.compile(r"\n{3,}")


class Relation(NamedTuple):
    """What a part refers to: the last word of its type, as in `slide` or `chart`, and the part's name."""

    id: str
    kind: str
    part: str


class Package:
    """An open container. What is missing in it is None or empty; a damaged entry raises `Unreadable`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = set(archive.namelist())

    def xml(self, name: str) -> etree._Element | None:
        """The root of a part, as much of it as can be parsed; None where there is no such part or no XML in it."""
        if name not in self.names:
            return None
        parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, remove_comments=True)
        try:
            return etree.fromstring(self._archive.read(name), parser)
        except (etree.LxmlError, ValueError):
            return None

    def relations(self, part: str) -> list[Relation]:
        """What a part refers to inside the container; what it links to outside is left out."""
        folder, name = posixpath.split(part)
        root = self.xml(f"{folder}/_rels/{name}.rels")
        return [
            Relation(
                element.get("Id", ""),
                element.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, element.get("Target", ""))).lstrip("/"),
            )
            for element in (root.iter(_RELATIONSHIP) if root is not None else ())
            if element.get("TargetMode") != "External"
        ]


@contextmanager
def opened(path: Path) -> Iterator[Package]:
    """The container in a file that `container.check` found whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield Package(archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise Unreadable("corrupt", f"The container is damaged: {error}.") from None


def paragraphs(root: etree._Element | None) -> str:
    """The text of a part of Word or PowerPoint, a line for each paragraph and for each row of a table.

    Page and slide numbers, field codes, deleted text and what stands there for older programs are no text.
    """
    if root is None:
        return ""
    lines: list[str] = []
    words: list[str] = []
    row: list[str] | None = None
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        name = _local(element)
        if event == "start":
            if name in ("Fallback", "del", "pPr") or (name == "fld" and element.get("type") == "slidenum"):
                walk.skip_subtree()
            elif name == "t":
                words.append(element.text or "")
            elif name in ("br", "cr"):
                words.append("\n")
            elif name == "tab":
                words.append("\t")
            elif name == "tr":
                row = []
        elif name == "p":
            (lines if row is None else row).append("".join(words).strip())
            words.clear()
        elif name == "tr" and row is not None:
            lines.append("\t".join(filter(None, row)))
            row = None
        elif name in ("txBody", "tbl"):
            lines.append("")
    return _MANY_BREAKS.sub("\n\n", "\n".join(lines)).strip()


def _local(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
