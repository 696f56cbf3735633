"""The previewer's settings, from the environment."""

from pydantic import Field

from quire_runtime.settings import ServiceSettings


class PreviewerSettings(ServiceSettings):
    """Environment variables QUIRE_<NAME>, besides those of every service."""

    preview_pages: int = Field(
        default=10, ge=0, le=500, description="Pages of a document of which pictures are made; 0: a thumbnail alone"
    )
    preview_workers: int = Field(
        default=1, ge=1, description="Documents rendered at once; office documents have as many workers of their own"
    )
    preview_seconds: float = Field(default=120, gt=0, le=1200, description="Longest time one document may take")
    soffice: str = Field(default="soffice", description="LibreOffice's program, by name or path; office needs it")
