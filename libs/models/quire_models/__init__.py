"""Embedding models behind one protocol."""

from quire_models.errors import ModelError, ModelRefused, ModelUnavailable, RateLimited
from quire_models.open import ModelName, open_model
from quire_models.space import EmbeddingModel, Floats, Space

__all__ = [
    "EmbeddingModel",
    "Floats",
    "ModelError",
    "ModelName",
    "ModelRefused",
    "ModelUnavailable",
    "RateLimited",
    "Space",
    "open_model",
]
