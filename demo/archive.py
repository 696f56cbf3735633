"""Zip containers whose bytes depend on their content alone."""

import io
import re
import zipfile
from collections.abc import Iterable

WRITTEN = (2024, 11, 30, 12, 0, 0)
WRITTEN_XML = b"2024-11-30T12:00:00Z"
DATES = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(<)")


def pack(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip of the entries in the order given; one named `mimetype` is stored plain, as e-books and ODF require."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, WRITTEN)
            info.create_system = 3
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


def repack(container: bytes) -> bytes:
    """The same container without the moment it was written at: in its entries' times and in its properties."""
    with zipfile.ZipFile(io.BytesIO(container)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    return pack((name, DATES.sub(rb"\g<1>" + WRITTEN_XML + rb"\2", content)) for name, content in entries)
