"""The search service's settings."""

from pydantic import Field

from quire_models.settings import ModelSettings
from quire_runtime.settings import ServiceSettings


class SearchSettings(ServiceSettings, ModelSettings):
    """Environment variables QUIRE_<NAME>, beside those that every service has."""

    embedding_timeout_s: float = Field(default=5, gt=0, description="Longest wait for the vector of a query")

    batch_items: int = Field(default=100, ge=1, description="Events of one transaction at most")
    batches: int = Field(default=2, ge=1, description="Transactions at once")

    inbox_days: float = Field(default=7, gt=0, description="How long it is remembered which events were applied")
