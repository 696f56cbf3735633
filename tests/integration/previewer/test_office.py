"""Office documents through the real LibreOffice, inside the sandbox that may start programs."""

import asyncio
import io
import os
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from quire_contracts import PreviewReady
from quire_runtime.errors import Permanent
from tests.integration.previewer.conftest import Previewer
from tests.integration.previewer.pictures import ink
from tests.support.documents import office as documents

OPEN_XML = "application/vnd.openxmlformats-officedocument"
DOCX = f"{OPEN_XML}.wordprocessingml.document"
FODT = "application/vnd.oasis.opendocument.text-flat-xml"
RTF = rb"{\rtf1\ansi Some words in \b bold\b0.\par}"


async def rendered(previewer: Previewer, content: bytes, media_type: str) -> PreviewReady:
    ready = await previewer.handlers.on_document_uploaded(await previewer.uploaded(content, media_type))
    assert ready is not None
    return ready


async def first_page(previewer: Previewer, ready: PreviewReady) -> Image.Image:
    return Image.open(io.BytesIO(await previewer.store.get(ready.data.pages[0].key)))


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (documents.docx(), DOCX),
        (documents.xlsx(), f"{OPEN_XML}.spreadsheetml.sheet"),
        (documents.pptx(), f"{OPEN_XML}.presentationml.presentation"),
        (documents.fodt(), FODT),
        (RTF, "application/rtf"),
    ],
    ids=["docx", "xlsx", "pptx", "fodt", "rtf"],
)
async def test_an_office_document_becomes_pictures(office: Previewer, content: bytes, media_type: str) -> None:
    ready = await rendered(office, content, media_type)
    assert (ready.data.page_count, len(ready.data.pages)) == (1, 1)
    assert ready.data.pages[0].width == 1200
    assert ink(await first_page(office, ready)) > 0.0002


async def test_of_a_long_document_the_first_pages_are_laid_out(office: Previewer) -> None:
    ready = await rendered(office, documents.docx(paragraphs=["word " * 400] * 40), DOCX)
    assert (ready.data.page_count, len(ready.data.pages)) == (None, 2)


async def test_nothing_is_fetched_from_the_network(office: Previewer) -> None:
    asked = asyncio.Event()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/picture.png"
        for content, media_type in (
            (documents.docx_with_external_image(url), DOCX),
            (documents.docx_with_remote_template(url), DOCX),
            (documents.fodt(section_from=url, image_from=url), FODT),
        ):
            assert (await rendered(office, content, media_type)).data.pages
    assert not asked.is_set()


async def test_no_local_file_enters_a_document(office: Previewer) -> None:
    # LibreOffice as it comes puts both into the document; the square centimetre of black is 0.0016 of the page.
    with tempfile.NamedTemporaryFile(suffix=".png") as secret:
        Image.new("RGB", (100, 100)).save(secret, "PNG")
        secret.flush()
        os.fchmod(secret.fileno(), 0o644)
        linked = documents.fodt("", section_from="file:///etc/passwd", image_from=Path(secret.name).as_uri())
        ready = await rendered(office, linked, FODT)
    assert ready.data.page_count == 1
    assert ink(await first_page(office, ready)) < 0.0008


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (documents.docx()[:3000], "corrupt"),
        (b"PK\x03\x04nothing", "corrupt"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        (documents.overlapping_zip_bomb(), "limit"),
    ],
    ids=["truncated", "nonsense", "encrypted", "bomb"],
)
async def test_a_bad_office_document_is_refused_with_its_reason(office: Previewer, content: bytes, reason: str) -> None:
    with pytest.raises(Permanent) as refused:
        await rendered(office, content, DOCX)
    assert refused.value.reason == reason


async def test_what_unpacks_out_of_its_container_leaves_nothing_outside(office: Previewer) -> None:
    outside = Path("/tmp/quire-previewer-slip.txt")
    assert (await rendered(office, documents.zip_slip_docx(outside.name), DOCX)).data.pages
    assert not await asyncio.to_thread(outside.exists)
