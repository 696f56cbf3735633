"""The embedder's settings."""

from quire_models.settings import ModelSettings
from quire_runtime.settings import ServiceSettings


class EmbedderSettings(ServiceSettings, ModelSettings):
    """Environment variables QUIRE_EMBEDDING_…, beside those that every service has."""
