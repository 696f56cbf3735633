"""The gateway's settings."""

from pydantic import Field

from quire_runtime.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """Environment variables QUIRE_<NAME>."""

    search_url: str = Field(default="http://127.0.0.1:8001", description="Where the search service answers")
    search_timeout_s: float = Field(default=10, gt=0)
    max_upload_bytes: int = Field(default=2 * 1024**3, ge=1, description="A longer upload is refused with 413")
    feed_poll_s: float = Field(default=1, gt=0, description="How often the event log is looked at without being told")
    stream_backlog: int = Field(default=1000, ge=1, description="Events a slow client may lag before it is dropped")
    key_cache_s: float = Field(default=5, ge=0, description="How long a revoked key may still be accepted")

    sweep_every_s: float = Field(default=60, gt=0, description="How often stuck documents are looked for")
    stuck_after_s: float = Field(
        default=1200, gt=0, description="Without progress for so long a document is stuck; longer than any delay"
    )
    sweep_replays: int = Field(
        default=3, ge=1, description="How often a stuck document's stages are replayed before they fail"
    )
    chore_every_s: float = Field(default=24 * 3600, gt=0, description="How often the store is rid of what is left over")
    orphan_grace_s: float = Field(
        default=24 * 3600, ge=0, description="How long an object without a document, or an unfinished upload, is kept"
    )
