"""Documents in a store, and the events that say so."""

import hashlib
import itertools
from datetime import UTC, datetime

from quire_contracts import DocumentInfo, DocumentUploaded, DocumentUploadedData
from quire_contracts.keys import content_key
from quire_runtime.storage import Store

_numbers = itertools.count(1)


async def uploaded(store: Store, content: bytes, media_type: str) -> DocumentUploaded:
    """Stores `content` as the first revision of a new document; the event that the gateway would emit."""
    document = f"doc_{next(_numbers)}"
    key = content_key("wsp_1", document, 1)
    await store.put(key, content)
    entry = DocumentInfo(
        version=1,
        title=document,
        filename=document,
        media_type=media_type,
        size=len(content),
        created_at=datetime.now(UTC),
    )
    digest = hashlib.sha256(content).hexdigest()
    data = DocumentUploadedData(revision=1, document=entry, content_key=key, sha256=digest)
    return DocumentUploaded.new(workspace="wsp_1", document=document, data=data)
