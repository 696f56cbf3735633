"""Names that people give, made safe to show and to compare: file names, titles, folders."""

import re
import unicodedata

_UNSHOWABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINER = "\u200d"
"""Invisible, but it holds emoji together and shapes letters."""
_EDGES = _JOINER + "".join(
    character for character in map(chr, range(0x3001)) if unicodedata.category(character) == "Zs"
)


def clean(text: str, limit: int) -> str:
    """One line without control, direction-override or unassigned characters, in NFC, at most `limit` characters.

    What is clean already stays as it is.
    """
    kept = "".join(
        " " if character in "\t\r\n" else character
        for character in text.encode("utf-8", "replace").decode()
        if character in "\t\r\n" or character == _JOINER or unicodedata.category(character) not in _UNSHOWABLE
    )
    line = unicodedata.normalize("NFC", re.sub(r" {2,}", " ", kept))
    return line.strip(_EDGES)[:limit].strip(_EDGES)


def clean_filename(name: str | None) -> str:
    """The last component of a client's file name; `unnamed` where nothing is left."""
    last = re.split(r"[/\\]", name or "")[-1]
    cleaned = clean(last, 1000)
    if len(cleaned) > 255:
        stem, dot, suffix = cleaned.rpartition(".")
        cleaned = f"{stem[: 254 - len(suffix)]}.{suffix}" if dot and len(suffix) < 20 else clean(cleaned, 255)
    return cleaned if cleaned.strip(". ") else "unnamed"


def title_of(filename: str) -> str:
    """A title for a document that was given none: its file name without suffix, underscores as spaces."""
    stem = filename.rsplit(".", 1)[0] if "." in filename.strip(".") else filename
    return re.sub(r"[_\s]+", " ", stem).strip() or filename


def clean_folder(path: str) -> str:
    """A folder as an absolute path: `/a/b`. Empty, `.` and `..` components are dropped, so nothing points upwards."""
    parts = [clean(part, 255) for part in re.split(r"[/\\]", path)]
    return "/" + "/".join(part for part in parts if part and part not in {".", ".."})
