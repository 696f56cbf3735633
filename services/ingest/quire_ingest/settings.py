"""The settings of the ingest service."""

import os

from pydantic import Field

from quire_runtime.settings import ServiceSettings


class IngestSettings(ServiceSettings):
    """Environment variables QUIRE_INGEST_<NAME>, besides those that every service has."""

    ingest_workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="Documents read at once")
    ingest_memory_mib: int = Field(default=1024, ge=128, description="Memory one document may take")
    ingest_timeout_s: float = Field(default=120, gt=0, description="Seconds one document may take, OCR apart")

    ingest_max_characters: int = Field(default=20_000_000, ge=1, description="Longer texts are cut and flagged")
    ingest_max_chunks: int = Field(default=40_000, ge=1, description="Further passages are left out and flagged")
    ingest_max_pages: int = Field(default=10_000, ge=1, description="Documents with more are refused")
    ingest_max_pixels: int = Field(default=200_000_000, ge=1, description="Larger pictures are refused")

    ingest_ocr_languages: str = Field(default="eng", description="Languages scans may be in, for example eng+deu")
    ingest_ocr_max_pages: int = Field(
        default=200, ge=0, description="Scanned pages read of one document; 0 turns OCR off"
    )
    ingest_ocr_page_timeout_s: float = Field(default=60, gt=0)
    ingest_ocr_timeout_s: float = Field(
        default=900, gt=0, description="Seconds after which the other pages are left out"
    )
