"""Zip containers (OOXML, ODF, EPUB) looked at before a parser opens them: whole, not encrypted, not a bomb."""

import mmap
import zipfile
from pathlib import Path

from .result import Source, Unreadable

_COMPOUND_FILE = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_MAX_ENTRIES = 20_000
_SUSPECT_BYTES, _MAX_RATIO = 64 << 20, 200


def check(source: Source, part: str | None = None) -> None:
    """Raises `Unreadable` for a container that is damaged, encrypted, without `part` or too large inside."""
    _refuse_encrypted_office(source.path)
    try:
        with zipfile.ZipFile(source.path) as archive:
            entries = archive.infolist()
            manifest = _entry(archive, "META-INF/manifest.xml")
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise Unreadable("corrupt", f"The container is damaged: {error}.") from None
    names = {entry.filename for entry in entries}
    unpacked, packed = sum(entry.file_size for entry in entries), source.path.stat().st_size
    if len(entries) > _MAX_ENTRIES:
        raise Unreadable("limit", f"The container has {len(entries)} entries; {_MAX_ENTRIES} are allowed.")
    if unpacked > source.limits.unpacked_bytes or (unpacked > _SUSPECT_BYTES and unpacked > _MAX_RATIO * packed):
        raise Unreadable("limit", f"The container would unpack to {unpacked} bytes.")
    if any(entry.flag_bits & 1 for entry in entries) or b"encryption-data" in manifest:
        raise Unreadable("encrypted", "The document is protected by a password.")
    if names & {"META-INF/rights.xml", "META-INF/sinf.xml"}:
        raise Unreadable("encrypted", "The book is protected by digital rights management.")
    if part is not None and part not in names:
        raise Unreadable("corrupt", f"The container lacks its main part, {part}.")


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """The first megabyte of an entry; nothing where there is no such entry or it cannot be read."""
    try:
        with archive.open(name) as entry:
            return entry.read(1 << 20)
    except (KeyError, RuntimeError, zipfile.BadZipFile):
        return b""


def _refuse_encrypted_office(path: Path) -> None:
    """Office wraps an encrypted OOXML package in a compound file with a stream of that name.

    Before 2007 compound files were what it wrote, which nobody reads here.
    """
    with path.open("rb") as file:
        if file.read(8) != _COMPOUND_FILE:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data.find(_ENCRYPTED_PACKAGE) >= 0:
                raise Unreadable("encrypted", "The document is protected by a password.")
    raise Unreadable(
        "unsupported", "This is an office document of the kind from before 2007; save it in a newer format."
    )
