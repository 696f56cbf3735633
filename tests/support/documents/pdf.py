"""PDF files: readable ones, unreadable ones, and ones written to exhaust whoever opens them."""

import io
import zlib
from collections.abc import Sequence

from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.pdfencrypt import StandardEncryption  # type: ignore[import-untyped]
from reportlab.lib.utils import ImageReader, simpleSplit  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from tests.support.documents import images

WIDTH, HEIGHT = A4
MARGIN = 56
PASSWORD = "open sesame"
MEBIBYTE = 1 << 20


def pages(texts: Sequence[str], *, title: str = "A test document", encrypt: StandardEncryption | None = None) -> bytes:
    """One A4 page with a text layer for each text; a text longer than its page is cut off at the bottom."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, encrypt=encrypt)
    canvas.setTitle(title)
    for text in texts:
        canvas.setFont("Helvetica", 11)
        lines = (part for line in text.splitlines() for part in simpleSplit(line, "Helvetica", 11, WIDTH - 2 * MARGIN))
        for number, line in enumerate(lines):
            canvas.drawString(MARGIN, HEIGHT - MARGIN - 15 * number, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def encrypted(text: str = "Nobody reads this without the password.", password: str = PASSWORD) -> bytes:
    """A document that needs `password` to open (RC4, 128 bits), to be refused as `encrypted`."""
    return pages([text], encrypt=StandardEncryption(password, ownerPassword="owner", strength=128))


def truncated(texts: Sequence[str] = ("The end of this file is missing.",)) -> bytes:
    """The first half of a document, as an interrupted copy leaves it: no trailer and no page tree."""
    whole = pages(texts)
    return whole[: len(whole) // 2]


def empty_page() -> bytes:
    """One page on which nothing is drawn: valid, and without any text to find."""
    return pages([""])


def scanned(*texts: str) -> bytes:
    """One page for each text, drawn as a picture only: no text layer, so it takes OCR to read it."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    for text in texts or ("This page was scanned.",):
        picture = ImageReader(io.BytesIO(images.png(text)))
        canvas.drawImage(picture, 0, 0, width=WIDTH, height=HEIGHT, preserveAspectRatio=True)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def page_tree(levels: int = 5) -> bytes:
    """10 ** `levels` pages (100,000) in two kilobytes: every node of the tree names the next level ten times.

    Attacks a reader that renders or extracts all pages, or counts them only after it has walked them.
    """
    nodes = {1: b"<</Type/Catalog/Pages 2 0 R>>"}
    for level in range(levels):
        number = 2 + level
        kids = b" ".join([b"%d 0 R" % (number + 1)] * 10)
        parent = b"/Parent %d 0 R" % (number - 1) if level else b""
        nodes[number] = b"<</Type/Pages%s/Count %d/Kids[%s]>>" % (parent, 10 ** (levels - level), kids)
    leaf = 2 + levels
    nodes[leaf] = b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 200 200]>>" % (leaf - 1)
    return _file(nodes)


def xref_loop() -> bytes:
    """A document whose cross-reference table names itself as the one before it.

    Attacks a reader that follows /Prev without remembering where it has been.
    """
    whole = _file(_one_page(b"BT ET"))
    table = whole.rindex(b"xref\n", 0, whole.index(b"trailer"))
    return whole.replace(b"trailer\n<<", b"trailer\n<</Prev %010d" % table)


def flate_bomb(expands_to: int = 1024 * MEBIBYTE) -> bytes:
    """A page whose content passes three Flate filters and grows from some kilobytes to `expands_to` bytes.

    Attacks a reader that bounds one decompression but not the stack of them, or reads the declared length as the
    size. `expands_to` is a multiple of a mebibyte; the zeros it decodes to are white space in PDF.
    """
    stream = zlib.compress(zlib.compress(_zeros(expands_to), 9), 9)
    objects = _one_page(b"")
    objects[4] = b"<</Length %d/Filter[/FlateDecode/FlateDecode/FlateDecode]>>stream\n%s\nendstream" % (
        len(stream),
        stream,
    )
    return _file(objects)


def _zeros(size: int) -> bytes:
    """`size` zero bytes, deflated: one mebibyte is compressed and its block repeated, so a gibibyte costs nothing."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(bytes(MEBIBYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = (size % 65521) << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + block * (size // MEBIBYTE) + deflate.flush() + checksum.to_bytes(4, "big")


def _one_page(content: bytes) -> dict[int, bytes]:
    return {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R>>",
        4: b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    }


def _file(objects: dict[int, bytes]) -> bytes:
    """The objects, numbered from 1 without a gap, with a header, a cross-reference table and a trailer."""
    out = bytearray(b"%PDF-1.7\n")
    table = bytearray(b"0000000000 65535 f \n")
    for number, body in objects.items():
        table += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    size = len(objects) + 1
    out += b"xref\n0 %d\n%s" % (size, table)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, start)
    return bytes(out)
