"""DocumentUploaded to PreviewReady on a real store and a real sandbox: done, done before, refused, tried again."""

import io

import pytest
from PIL import Image

from quire_contracts import PreviewReady
from quire_contracts.keys import preview_key, revision_prefix
from quire_previewer.handlers import Handlers
from quire_runtime.errors import Permanent
from quire_runtime.sandbox import Limits, Sandbox
from quire_runtime.storage import ObjectNotFound
from tests.integration.previewer.conftest import Previewer, broken
from tests.support.documents import images, office, pdf
from tests.support.documents import text as texts

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


class Untouchable:
    """A sandbox that must not be asked for anything."""

    def job(self) -> None:
        raise AssertionError("the document was rendered again")


async def test_a_document_becomes_pictures_in_storage(previewer: Previewer) -> None:
    event = await previewer.uploaded(pdf.pages(["One.", "Two.", "Three."]), "application/pdf")
    ready = await previewer.handlers.on_document_uploaded(event)
    assert isinstance(ready, PreviewReady)
    assert (ready.causationid, ready.subject, ready.workspaceid) == (event.id, event.subject, event.workspaceid)
    assert (ready.data.revision, ready.data.page_count, ready.data.skipped) == (1, 3, None)
    assert ready.data.thumbnail is not None
    assert ready.data.thumbnail.key == preview_key(event, "thumbnail.webp")
    assert [(page.page, page.key) for page in ready.data.pages] == [
        (1, preview_key(event, "1-1200.webp")),
        (2, preview_key(event, "2-1200.webp")),
    ]
    for picture in (ready.data.thumbnail, *ready.data.pages):
        opened = Image.open(io.BytesIO(await previewer.store.get(picture.key)))
        assert (opened.format, opened.size) == ("WEBP", (picture.width, picture.height))


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(pdf.pages(["One.", "Two."]), "application/pdf"), (texts.markdown(), "text/markdown")],
    ids=["pdf", "markdown"],
)
async def test_without_pages_there_is_a_thumbnail_alone(previewer: Previewer, content: bytes, media_type: str) -> None:
    handlers = Handlers(previewer.store, previewer.sandbox, pages=0)
    event = await previewer.uploaded(content, media_type)
    ready = await handlers.on_document_uploaded(event)
    assert (ready.data.skipped, ready.data.pages) == (None, [])
    assert ready.data.thumbnail is not None
    pictures = [key async for key in previewer.store.list(preview_key(event, "")) if key.endswith(".webp")]
    assert pictures == [ready.data.thumbnail.key]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (images.geotagged_jpeg(), "image/jpeg"),
        (texts.markdown(), "text/markdown"),
        (texts.csv(), "text/csv; charset=utf-8"),
        (b"log line\n" * 1_000_000, "text/plain"),
    ],
    ids=["image", "markdown", "csv", "long"],
)
async def test_other_families_are_rendered_too(previewer: Previewer, content: bytes, media_type: str) -> None:
    event = await previewer.uploaded(content, media_type)
    ready = await previewer.handlers.on_document_uploaded(event)
    assert ready.data.thumbnail is not None
    assert 1 <= len(ready.data.pages) <= previewer.pages


async def test_a_redelivered_event_is_answered_without_rendering_again(previewer: Previewer) -> None:
    event = await previewer.uploaded(pdf.pages(["One."]), "application/pdf")
    first = await previewer.handlers.on_document_uploaded(event)
    again = await Handlers(previewer.store, Untouchable(), pages=2).on_document_uploaded(event)  # type: ignore[arg-type]
    assert first is not None
    assert again is not None
    assert (again.id, again.data) == (first.id, first.data)


async def test_what_was_left_half_done_is_done_again_under_the_same_keys(previewer: Previewer) -> None:
    event = await previewer.uploaded(pdf.pages(["One."]), "application/pdf")
    first = await previewer.handlers.on_document_uploaded(event)
    keys = sorted([key async for key in previewer.store.list(revision_prefix(event))])
    picture = await previewer.store.get(preview_key(event, "1-1200.webp"))
    await previewer.store.delete(preview_key(event, "manifest.json"))
    await previewer.store.delete(preview_key(event, "1-1200.webp"))
    again = await previewer.handlers.on_document_uploaded(event)
    assert first is not None
    assert again is not None
    assert (again.id, again.data) == (first.id, first.data)
    assert sorted([key async for key in previewer.store.list(revision_prefix(event))]) == keys
    assert await previewer.store.get(preview_key(event, "1-1200.webp")) == picture


async def test_another_cause_renders_the_same_revision_anew(previewer: Previewer) -> None:
    event = await previewer.uploaded(pdf.pages(["One."]), "application/pdf")
    await previewer.handlers.on_document_uploaded(event)
    asked_again = event.model_copy(update={"id": "another"})
    with pytest.raises(AssertionError, match="rendered again"):
        await Handlers(previewer.store, Untouchable(), pages=2).on_document_uploaded(asked_again)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "media_type", "reason"),
    [
        (pdf.encrypted(), "application/pdf", "encrypted"),
        (pdf.truncated(), "application/pdf", "corrupt"),
        (images.huge_png(), "image/png", "limit"),
    ],
    ids=["encrypted", "truncated", "huge"],
)
async def test_a_bad_document_is_refused_for_good_with_its_reason(
    previewer: Previewer, content: bytes, media_type: str, reason: str
) -> None:
    event = await previewer.uploaded(content, media_type)
    with pytest.raises(Permanent) as refused:
        await previewer.handlers.on_document_uploaded(event)
    assert refused.value.reason == reason
    left = [key async for key in previewer.store.list(revision_prefix(event))]
    assert left == [event.data.content_key]


async def test_a_document_that_takes_too_long_is_refused_and_the_next_one_is_not(previewer: Previewer) -> None:
    async with Sandbox(["quire_previewer.child"], workers=1, limits=Limits(wall_s=0.05)) as hurried:
        event = await previewer.uploaded(pdf.pages(["One."] * 3), "application/pdf")
        with pytest.raises(Permanent) as refused:
            await Handlers(previewer.store, hurried, pages=500).on_document_uploaded(event)
        assert refused.value.reason == "limit"
    assert await previewer.handlers.on_document_uploaded(event) is not None


async def test_a_store_that_fails_is_no_fault_of_the_document(previewer: Previewer) -> None:
    event = await previewer.uploaded(pdf.pages(["One."]), "application/pdf")
    with pytest.raises(OSError, match="No space left"):
        await Handlers(broken(previewer.store), previewer.sandbox, pages=2).on_document_uploaded(event)
    assert await previewer.handlers.on_document_uploaded(event) is not None


async def test_content_that_is_gone_is_left_to_the_runtime(previewer: Previewer) -> None:
    event = await previewer.uploaded(b"words", "text/plain")
    await previewer.store.delete(event.data.content_key)
    with pytest.raises(ObjectNotFound):
        await previewer.handlers.on_document_uploaded(event)


async def test_a_type_without_pictures_is_skipped_with_the_reason(previewer: Previewer) -> None:
    event = await previewer.uploaded(b"PK", "application/zip")
    ready = await previewer.handlers.on_document_uploaded(event)
    assert ready.data.skipped is not None
    assert "application/zip" in ready.data.skipped
    assert (ready.data.thumbnail, ready.data.pages) == (None, [])


async def test_without_libreoffice_an_office_document_is_skipped_and_told_what_is_missing(previewer: Previewer) -> None:
    event = await previewer.uploaded(office.docx(), DOCX)
    ready = await previewer.handlers.on_document_uploaded(event)
    assert ready.data.skipped is not None
    assert "libreoffice" in ready.data.skipped
