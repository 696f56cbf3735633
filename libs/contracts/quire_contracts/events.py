"""The events, one class each. Within a version only optional fields come; a breaking change is a new class and type."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from .blob import Blob
from .event import Contract, Event, EventData

Stage = Literal["ingest", "embed", "index", "preview", "enrich"]
Leg = Literal["keyword", "vector"]


class DocumentInfo(Contract):
    """What the catalog says of a document. `version` grows with every change: a consumer drops an older one."""

    version: int = Field(ge=1)
    title: str
    filename: str
    folder: str = Field(default="/", description="A path that starts with /")
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict, description="The owner's own fields")
    media_type: str = Field(description="What the content was found to be")
    size: int = Field(ge=0, description="Bytes of the content")
    created_at: AwareDatetime


class Chunk(Contract):
    """A passage of a document. `text == full_text[start:end]`, in characters (code points)."""

    index: int = Field(ge=0)
    text: str
    page: int | None = Field(
        default=None, description="1-based page on which the passage starts; none where there are no pages"
    )
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Vectors(Contract):
    """One vector for each chunk, in the order of the chunks."""

    space: str = Field(description="Embedding space; only vectors of one space can be compared")
    dimensions: int = Field(ge=1)
    count: int = Field(ge=0)
    data: str = Field(
        description="Base64 of count × dimensions little-endian IEEE 754 half-precision floats, row by row"
    )


class PreviewImage(Contract):
    """A picture of one page, in object storage."""

    page: int = Field(ge=1)
    key: str
    width: int
    height: int
    media_type: str = "image/webp"


class DocumentUploadedData(EventData):
    """A content was stored and entered in the catalog."""

    document: DocumentInfo
    content_key: str = Field(description="Object-storage key of the content")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class DocumentUploaded(Event):
    """A new content is stored: everything else follows from it."""

    producer: ClassVar[str] = "gateway"
    type: Literal["quire.document.uploaded.v1"] = "quire.document.uploaded.v1"
    data: DocumentUploadedData


class TextExtractedData(EventData):
    """The text of a document, cut into chunks."""

    document: DocumentInfo
    language: str | None = Field(default=None, description="ISO 639-1 code; none where it could not be told")
    page_count: int | None = Field(default=None, ge=0)
    characters: int = Field(ge=0)
    truncated: bool = Field(default=False, description="The text was longer than the limit and was cut")
    ocr: bool = Field(default=False, description="At least one page was read by optical character recognition")
    text_key: str = Field(description="Object-storage key of the whole text, UTF-8")
    chunks: Blob[list[Chunk]]


class TextExtracted(Event):
    """The text is known; it can be searched by word as soon as it is indexed."""

    producer: ClassVar[str] = "ingest"
    type: Literal["quire.text.extracted.v1"] = "quire.text.extracted.v1"
    data: TextExtractedData


class EmbeddedData(EventData):
    """The vectors of a document's chunks in one embedding space."""

    vectors: Blob[Vectors]


class Embedded(Event):
    """The chunks have vectors; the document can be searched by meaning as soon as they are indexed."""

    producer: ClassVar[str] = "embedder"
    type: Literal["quire.document.embedded.v1"] = "quire.document.embedded.v1"
    data: EmbeddedData


class DocumentIndexedData(EventData):
    """Which legs of the search now find the document."""

    legs: list[Leg] = Field(description="Everything that is indexed by now, not only what was added")
    chunks: int = Field(ge=0)
    space: str | None = None


class DocumentIndexed(Event):
    """The document is found by the legs that are named; it is fully indexed when both are."""

    producer: ClassVar[str] = "search"
    type: Literal["quire.document.indexed.v1"] = "quire.document.indexed.v1"
    data: DocumentIndexedData


class DocumentEnrichedData(EventData):
    """What was made of the text for people."""

    summary: str
    keywords: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list, description="Suggested tags; the owner's own are in the catalog")
    provider: str
    model: str | None = None


class DocumentEnriched(Event):
    """A summary, keywords and tags exist."""

    producer: ClassVar[str] = "enricher"
    type: Literal["quire.document.enriched.v1"] = "quire.document.enriched.v1"
    data: DocumentEnrichedData


class PreviewReadyData(EventData):
    """The pictures of a document."""

    thumbnail: PreviewImage | None = None
    pages: list[PreviewImage] = Field(default_factory=list)
    page_count: int | None = Field(
        default=None, ge=0, description="Pages of the document; more than `pages` where the limit cut them"
    )
    skipped: str | None = Field(default=None, description="Why there is no picture, where there is none to be had")


class PreviewReady(Event):
    """Pictures exist, or it is known that there will be none."""

    producer: ClassVar[str] = "previewer"
    type: Literal["quire.preview.ready.v1"] = "quire.preview.ready.v1"
    data: PreviewReadyData


class DocumentUpdatedData(EventData):
    """The catalog's entry changed; the content did not."""

    document: DocumentInfo


class DocumentUpdated(Event):
    """Title, folder, tags or metadata changed."""

    producer: ClassVar[str] = "gateway"
    type: Literal["quire.document.updated.v1"] = "quire.document.updated.v1"
    data: DocumentUpdatedData


class DocumentDeletedData(EventData):
    """The last revision that existed."""


class DocumentDeleted(Event):
    """The document is gone, with everything derived from it; its id is never used again."""

    producer: ClassVar[str] = "gateway"
    type: Literal["quire.document.deleted.v1"] = "quire.document.deleted.v1"
    data: DocumentDeletedData


class StageRetriedData(EventData):
    """Which stage is to be done once more, and who wants it."""

    stage: Stage
    by: Literal["user", "sweeper"] = Field(description="A person, or the catalog itself, which missed any progress")


class StageRetried(Event):
    """The cause of one stage was given to its service once more; what comes of it follows."""

    producer: ClassVar[str] = "gateway"
    type: Literal["quire.stage.retried.v1"] = "quire.stage.retried.v1"
    data: StageRetriedData


class ProcessingFailedData(EventData):
    """Why a stage gave up."""

    stage: Stage
    reason: str = Field(description="Short code, for example encrypted, corrupt, limit, unsupported, exhausted")
    detail: str = Field(description="The reason in words")
    attempts: int = Field(ge=1)
    cause_type: str = Field(description="Type of the event that could not be handled")


class ProcessingFailed(Event):
    """A stage gave up on a document: its input is bad, or every retry failed."""

    producer: ClassVar[str] = "*"
    type: Literal["quire.processing.failed.v1"] = "quire.processing.failed.v1"
    data: ProcessingFailedData


EVENTS: tuple[type[Event], ...] = (
    DocumentUploaded, TextExtracted, Embedded, DocumentIndexed, DocumentEnriched,
    PreviewReady, DocumentUpdated, DocumentDeleted, StageRetried, ProcessingFailed,
)  # fmt: skip

AnyEvent = Annotated[
    DocumentUploaded | TextExtracted | Embedded | DocumentIndexed | DocumentEnriched
    | PreviewReady | DocumentUpdated | DocumentDeleted | StageRetried | ProcessingFailed,
    Field(discriminator="type"),
]  # fmt: skip

_any_event: TypeAdapter[Event] = TypeAdapter(AnyEvent)


class UndecodableEvent(ValueError):
    """The bytes are not an event of a known type."""


def parse_event(body: bytes | str) -> Event:
    """The event in a CloudEvents structured JSON document; unknown fields are ignored.

    Raises `UndecodableEvent` where the body is not JSON, lacks a required attribute or has an unknown type.
    """
    try:
        return _any_event.validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise UndecodableEvent("; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems[:5])) from None
