"""Object-storage keys: everything of a revision lies below one prefix, each thing under a name that never varies.

A message delivered twice therefore overwrites an object with the same bytes, and a delete is one prefix.
"""

from .event import Event, EventData


def document_prefix(workspace: str, document: str) -> str:
    """Where everything of a document lies, in all revisions; ends with a slash."""
    return f"{workspace}/{document}/"


def revision_prefix(event: Event) -> str:
    """Where everything of the revision that the event speaks of lies; ends with a slash."""
    data: EventData = event.data
    return f"{document_prefix(event.workspaceid, event.subject)}{data.revision}/"


def content_key(workspace: str, document: str, revision: int) -> str:
    """The content as it was uploaded."""
    return f"{document_prefix(workspace, document)}{revision}/content"


def text_key(event: Event) -> str:
    """The whole text, UTF-8."""
    return f"{revision_prefix(event)}text"


def chunks_key(event: Event) -> str:
    """The chunks, where they are too large for an event."""
    return f"{revision_prefix(event)}chunks.json"


def vectors_key(event: Event, space: str) -> str:
    """The vectors in one embedding space, where they are too large for an event."""
    return f"{revision_prefix(event)}vectors/{space}.json"


def enrichment_key(event: Event, provider: str) -> str:
    """What a provider answered; looked for before it is paid again."""
    return f"{revision_prefix(event)}enrichment/{provider}.json"


def preview_key(event: Event, name: str) -> str:
    """One file of the previews, for example `thumbnail.webp` or `1-1200.webp`."""
    return f"{revision_prefix(event)}previews/{name}"
