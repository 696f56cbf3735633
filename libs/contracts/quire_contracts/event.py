"""The event envelope: a CloudEvents 1.0 structured JSON document with Quire's four extension attributes."""

import os
import time
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

CONTENT_TYPE = "application/cloudevents+json"
"""Content type of an AMQP body that holds one event."""

MAX_EVENT_BYTES = 64 * 1024
"""An event's JSON stays at or below this size; a larger payload becomes an object (see `Blob`)."""

IDS = UUID("6c1e1f0a-5d0c-5b3e-9a55-3c7c6f2b7a11")
"""Namespace of the ids of events that have no cause with a UUID of its own."""


def uuid7() -> UUID:
    """A time-ordered UUID (RFC 9562, version 7): 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


class Contract(BaseModel):
    """What every model here shares: immutable, and blind to unknown fields, which a newer release may send."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=False)


class EventData(Contract):
    """The payload of an event."""

    revision: int = Field(ge=1, description="Content version of the document this event speaks of")


class Event(Contract):
    """One fact about one document. Subclasses fix `type` and `data`.

    Build the first event of a chain with `new`, every other one with `follow`: its id is then a function of its cause,
    so that a message delivered twice emits the same event twice and consumers can tell.
    """

    producer: ClassVar[str]
    """The service that emits this event."""

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1, max_length=64, description="Unique id of the event; consumers deduplicate by it")
    source: str = Field(description="Who emitted the event, for example /quire/ingest")
    type: str
    subject: str = Field(min_length=1, max_length=64, description="Document id")
    time: AwareDatetime = Field(description="When it happened, RFC 3339")
    datacontenttype: Literal["application/json"] = "application/json"
    workspaceid: str = Field(min_length=1, max_length=64, description="Workspace of the document")
    correlationid: str = Field(description="Shared by every event that one request set off")
    causationid: str | None = Field(default=None, description="Id of the event that caused this one")
    traceparent: str | None = Field(default=None, description="W3C trace context of the emitter")
    data: Any

    @classmethod
    def type_name(cls) -> str:
        """The CloudEvents type, which is also the AMQP routing key, for example `quire.text.extracted.v1`."""
        name: str = cls.model_fields["type"].default
        return name

    @classmethod
    def new(cls, *, workspace: str, document: str, data: EventData, correlation: str | None = None) -> Self:
        """The first event of a chain; `correlation` defaults to its own id."""
        event_id = str(uuid7())
        return cls(
            id=event_id,
            source=f"/quire/{cls.producer}",
            subject=document,
            time=datetime.now(UTC),
            workspaceid=workspace,
            correlationid=correlation or event_id,
            data=data,
        )  # type: ignore[call-arg]

    @classmethod
    def follow(cls, cause: "Event", data: EventData, *, discriminator: str = "", producer: str | None = None) -> Self:
        """The event that `cause` led to, with the id uuid5(cause, type, discriminator).

        `discriminator` tells apart several events of one type with one cause. `producer` names the service where
        the class does not (`ProcessingFailed`).
        """
        return cls(
            id=derived_id(cause.id, cls.type_name(), discriminator),
            source=f"/quire/{producer or cls.producer}",
            subject=cause.subject,
            time=datetime.now(UTC),
            workspaceid=cause.workspaceid,
            correlationid=cause.correlationid,
            causationid=cause.id,
            traceparent=cause.traceparent,
            data=data,
        )  # type: ignore[call-arg]

    def replay(self, cause: "Event | None" = None) -> Self:
        """The same fact under another id and the present time, for a service that is to act on it once more.

        It follows from `cause`, whose id and this type give its own; without a cause it follows from this event.
        """
        because = cause or self
        return self.model_copy(
            update={
                "id": derived_id(cause.id, self.type) if cause else str(uuid7()),
                "time": datetime.now(UTC),
                "causationid": because.id,
                "correlationid": because.correlationid,
                "traceparent": because.traceparent,
            }
        )

    def to_json(self) -> bytes:
        """The CloudEvents structured JSON, UTF-8; absent optional fields are left out."""
        return self.model_dump_json(exclude_none=True).encode()


def derived_id(cause_id: str, event_type: str, discriminator: str = "") -> str:
    """The id of the event of `event_type` that the event `cause_id` leads to (UUID version 5)."""
    return str(uuid5(IDS, f"{cause_id}\n{event_type}\n{discriminator}"))
