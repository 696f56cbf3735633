"""The handler with a real store and a real sandbox: done, done twice, refused for each reason, failed for a while."""

import io
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from obstore.exceptions import BaseError
from pypdfium2 import PdfDocument  # type: ignore[import-untyped]

from quire_contracts import Chunk, TextExtracted
from quire_contracts.blob import INLINE_LIMIT
from quire_contracts.keys import chunks_key, text_key
from quire_ingest import ocr
from quire_ingest.extract import Limits
from quire_ingest.handlers import Handlers, Recognition
from quire_ingest.main import ONE_THREAD
from quire_runtime.blobs import unpack
from quire_runtime.errors import Permanent
from quire_runtime.sandbox import Limits as SandboxLimits
from quire_runtime.sandbox import Sandbox, SandboxError
from quire_runtime.settings import ServiceSettings
from quire_runtime.storage import ObjectNotFound, Store, open_store
from tests.integration.ingest.uploads import uploaded
from tests.support.documents import generate, images, office, pdf, text
from tests.unit.ingest.reading import DOCX, PDF

pytestmark = pytest.mark.asyncio(loop_scope="module")

TESSERACT = ocr.installed(["eng"])
needs_tesseract = pytest.mark.skipif(TESSERACT is None, reason="tesseract with English is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return open_store(ServiceSettings(store_url=folder.as_uri()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    limits = SandboxLimits(memory_bytes=512 << 20, cpu_s=20, wall_s=30)
    directory = tmp_path_factory.mktemp("sandbox")
    async with Sandbox(
        ["quire_ingest.read"], limits=limits, env=ONE_THREAD, allow_exec=True, directory=directory
    ) as opened:
        yield opened


@pytest.fixture
def handlers(store: Store, sandbox: Sandbox) -> Handlers:
    return Handlers(store, sandbox, Limits(), Recognition(tesseract=TESSERACT) if TESSERACT else None)


async def text_and_chunks(store: Store, event: TextExtracted) -> tuple[str, list[Chunk]]:
    whole = (await store.get(event.data.text_key)).decode()
    chunks = await unpack(store, event.data.chunks, list[Chunk])
    assert len(whole) == event.data.characters
    assert all(whole[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    return whole, chunks


async def test_a_small_text_is_extracted_with_its_chunks_in_the_event(handlers: Handlers, store: Store) -> None:
    cause = await uploaded(store, generate.page(7).encode(), "text/plain")
    event = await handlers.on_document_uploaded(cause)
    whole, chunks = await text_and_chunks(store, event)
    assert whole == generate.page(7).strip()
    assert event.data.chunks.inline == chunks != []
    assert (event.data.language, event.data.page_count) == ("en", None)
    assert not event.data.truncated
    assert not event.data.ocr
    assert (event.causationid, event.subject, event.data.document) == (cause.id, cause.subject, cause.data.document)


async def test_the_chunks_of_a_long_text_are_an_object(handlers: Handlers, store: Store) -> None:
    content = "\n\n".join(generate.page(seed) for seed in range(100)).encode()
    cause = await uploaded(store, content, "text/plain")
    event = await handlers.on_document_uploaded(cause)
    whole, chunks = await text_and_chunks(store, event)
    assert event.data.chunks.key == chunks_key(cause)
    assert event.data.chunks.size == await store.size(chunks_key(cause)) > INLINE_LIMIT
    assert len(event.to_json()) < INLINE_LIMIT
    assert len(whole) > 200_000
    assert len(chunks) > 200


async def test_pages_are_kept_apart_by_form_feeds(handlers: Handlers, store: Store) -> None:
    pages = ["The first page of some words.", "", "The third page of some words."]
    event = await handlers.on_document_uploaded(await uploaded(store, pdf.pages(pages), PDF))
    whole, chunks = await text_and_chunks(store, event)
    assert whole.split("\f") == pages
    assert [chunk.page for chunk in chunks] == [1, 3]
    assert event.data.page_count == 3


async def test_a_duplicate_gives_the_same_event_and_the_same_objects(handlers: Handlers, store: Store) -> None:
    cause = await uploaded(store, generate.page(8).encode(), "text/plain")
    first = await handlers.on_document_uploaded(cause)
    objects = await store.get(text_key(cause))
    second = await handlers.on_document_uploaded(cause)
    assert second.model_dump(exclude={"time"}) == first.model_dump(exclude={"time"})
    assert await store.get(text_key(cause)) == objects


@needs_tesseract
async def test_a_scan_is_read_and_a_duplicate_of_it_is_not_read_again(store: Store, sandbox: Sandbox) -> None:
    assert TESSERACT is not None
    able = Handlers(store, sandbox, Limits(), Recognition(tesseract=TESSERACT))
    unable = Handlers(store, sandbox, Limits(), None)
    cause = await uploaded(store, pdf.scanned("The lamp was repaired"), PDF)
    first = await able.on_document_uploaded(cause)
    assert (await text_and_chunks(store, first))[0] == "The lamp was repaired"
    assert first.data.ocr
    assert not first.data.truncated
    assert await unable.on_document_uploaded(cause) == first
    again = cause.model_copy(update={"id": "another-cause"})
    with pytest.raises(Permanent, match="ocr_unavailable"):
        await unable.on_document_uploaded(again)


@needs_tesseract
@pytest.mark.parametrize(
    ("content", "media_type"),
    [(images.png("Words in a picture"), "image/png"), (images.jpeg("Words in a picture"), "image/jpeg")],
)
async def test_words_in_a_picture_are_found(handlers: Handlers, store: Store, content: bytes, media_type: str) -> None:
    event = await handlers.on_document_uploaded(await uploaded(store, content, media_type))
    whole, chunks = await text_and_chunks(store, event)
    assert whole == "Words in a picture"
    assert [chunk.page for chunk in chunks] == [1]


@needs_tesseract
async def test_a_picture_that_lies_on_its_side_is_turned_before_it_is_read(handlers: Handlers, store: Store) -> None:
    event = await handlers.on_document_uploaded(
        await uploaded(store, images.geotagged_jpeg("Taken at the station"), "image/jpeg")
    )
    assert (await text_and_chunks(store, event))[0] == "Taken at the station"


@needs_tesseract
async def test_scanned_pages_beyond_the_limit_are_left_out_and_flagged(store: Store, sandbox: Sandbox) -> None:
    assert TESSERACT is not None
    handlers = Handlers(store, sandbox, Limits(), Recognition(tesseract=TESSERACT, max_pages=1))
    event = await handlers.on_document_uploaded(await uploaded(store, pdf.scanned("First", "Second"), PDF))
    whole, _ = await text_and_chunks(store, event)
    assert whole == "First\f"
    assert event.data.truncated


@needs_tesseract
async def test_a_scan_none_of_whose_pages_is_read_in_time_is_refused(store: Store, sandbox: Sandbox) -> None:
    assert TESSERACT is not None
    handlers = Handlers(store, sandbox, Limits(), Recognition(tesseract=TESSERACT, page_timeout_s=0.05))
    with pytest.raises(Permanent) as refused:
        await handlers.on_document_uploaded(await uploaded(store, pdf.scanned("First", "Second"), PDF))
    assert refused.value.reason == "limit"


async def test_an_ocr_program_that_fails_is_a_failure_to_try_again(store: Store, sandbox: Sandbox) -> None:
    handlers = Handlers(store, sandbox, Limits(), Recognition(tesseract=ocr.Tesseract("/bin/false", "eng")))
    with pytest.raises(SandboxError, match="/bin/false"):
        await handlers.on_document_uploaded(await uploaded(store, pdf.scanned("First", "Second"), PDF))


async def test_a_scan_among_pages_of_text_is_left_out_and_flagged_where_there_is_no_ocr(
    store: Store, sandbox: Sandbox
) -> None:
    document = PdfDocument(pdf.pages(["A page of words that can be read."]))
    document.import_pages(PdfDocument(pdf.scanned("A scan")))
    content = io.BytesIO()
    document.save(content)
    cause = await uploaded(store, content.getvalue(), PDF)
    event = await Handlers(store, sandbox, Limits(), None).on_document_uploaded(cause)
    assert (await text_and_chunks(store, event))[0] == "A page of words that can be read.\f"
    assert (event.data.page_count, event.data.truncated, event.data.ocr) == (2, True, False)


async def test_a_scan_is_refused_where_there_is_no_ocr(store: Store, sandbox: Sandbox) -> None:
    handlers = Handlers(store, sandbox, Limits(), None)
    with pytest.raises(Permanent) as refused:
        await handlers.on_document_uploaded(await uploaded(store, images.png(), "image/png"))
    assert refused.value.reason == "ocr_unavailable"


async def test_a_text_longer_than_the_limit_is_cut_and_flagged(store: Store, sandbox: Sandbox) -> None:
    handlers = Handlers(store, sandbox, replace(Limits(), characters=500), None)
    event = await handlers.on_document_uploaded(await uploaded(store, generate.page(9).encode(), "text/plain"))
    whole, _ = await text_and_chunks(store, event)
    assert event.data.truncated
    assert 400 < len(whole) <= 500
    assert generate.page(9).startswith(whole)


async def test_more_chunks_than_the_limit_are_left_out_and_flagged(store: Store, sandbox: Sandbox) -> None:
    handlers = Handlers(store, sandbox, replace(Limits(), chunks=2), None)
    event = await handlers.on_document_uploaded(await uploaded(store, generate.page(9).encode(), "text/plain"))
    whole, chunks = await text_and_chunks(store, event)
    assert (len(chunks), event.data.truncated) == (2, True)
    assert whole == generate.page(9).strip()


@pytest.mark.parametrize("content", [b"", b" \n\0 ", pdf.empty_page()])
async def test_a_document_without_words_has_no_chunks(handlers: Handlers, store: Store, content: bytes) -> None:
    media_type = PDF if content.startswith(b"%PDF") else "text/plain"
    event = await handlers.on_document_uploaded(await uploaded(store, content, media_type))
    assert (event.data.characters, event.data.chunks.inline, event.data.language) == (0, [], None)


@pytest.mark.parametrize("content", [text.with_nuls(), text.with_lone_surrogates(), text.with_bad_utf8()])
async def test_text_that_cannot_be_stored_as_it_is_arrives_cleaned(
    handlers: Handlers, store: Store, content: bytes
) -> None:
    event = await handlers.on_document_uploaded(await uploaded(store, content, "text/plain"))
    whole, _ = await text_and_chunks(store, event)
    assert whole.startswith("before")
    assert whole.endswith("after")
    assert "\0" not in whole


@pytest.mark.parametrize(
    ("content", "media_type", "reason"),
    [
        (pdf.encrypted(), PDF, "encrypted"),
        (pdf.truncated(), PDF, "corrupt"),
        (pdf.page_tree(5), PDF, "limit"),
        (office.nested_zip_bomb(), DOCX, "corrupt"),
        (office.overlapping_zip_bomb(), DOCX, "limit"),
        (text.billion_laughs(), "application/xml", "corrupt"),
        (text.xxe(), "application/xml", "corrupt"),
        (images.huge_png(), "image/png", "limit"),
        (b"\x7fELF", "application/x-executable", "unsupported"),
    ],
)
async def test_a_document_that_can_never_be_read_is_refused_for_good(
    handlers: Handlers, store: Store, content: bytes, media_type: str, reason: str
) -> None:
    cause = await uploaded(store, content, media_type)
    with pytest.raises(Permanent) as refused:
        await handlers.on_document_uploaded(cause)
    assert refused.value.reason == reason
    assert not await store.exists(text_key(cause))


async def test_a_document_that_takes_too_much_memory_is_refused_and_its_neighbour_is_read(
    handlers: Handlers, store: Store
) -> None:
    bomb = await uploaded(store, pdf.flate_bomb(), PDF)
    with pytest.raises(Permanent) as refused:
        await handlers.on_document_uploaded(bomb)
    assert refused.value.reason == "limit"
    event = await handlers.on_document_uploaded(await uploaded(store, b"A neighbour in plain words.", "text/plain"))
    assert event.data.characters == 27


async def test_a_content_that_is_not_there_is_a_failure_to_try_again(handlers: Handlers, store: Store) -> None:
    cause = await uploaded(store, b"words", "text/plain")
    await store.delete(cause.data.content_key)
    with pytest.raises(ObjectNotFound):
        await handlers.on_document_uploaded(cause)


async def test_a_store_that_takes_no_objects_is_a_failure_to_try_again(
    handlers: Handlers, store: Store, folder: Path
) -> None:
    cause = await uploaded(store, b"words", "text/plain")
    blocked = folder / text_key(cause)
    (blocked / "in the way").mkdir(parents=True)
    with pytest.raises(BaseError, match="directory"):
        await handlers.on_document_uploaded(cause)
    shutil.rmtree(blocked)
    assert (await handlers.on_document_uploaded(cause)).data.characters == 5
