"""The settings of the embedding model, the same for documents and queries, which must lie in one space."""

from typing import Any, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from quire_models.open import ModelName


class ModelSettings(BaseModel):
    """Fields for a service's settings: QUIRE_EMBEDDING_MODEL and so on."""

    embedding_model: ModelName = "static"
    embedding_threads: int = Field(default=1, ge=1, description="Cores that a local model works on")
    embedding_base_url: str = Field(
        default="https://api.openai.com/v1", description="OpenAI, or a server that speaks its /v1/embeddings"
    )
    embedding_api_key: SecretStr | None = None
    embedding_server_model: str = Field(default="text-embedding-3-small", description="The model to ask the server for")
    embedding_dimensions: int = Field(default=512, ge=1, le=4000, description="Length of the server's vectors")
    embedding_shortened: bool = Field(
        default=True, description="Ask the server for that length, which not every model can give"
    )
    embedding_timeout_s: float = Field(default=30, gt=0, description="Longest wait for one answer of the server")

    @model_validator(mode="after")
    def _server_is_complete(self) -> Self:
        own = "embedding_base_url" in self.model_fields_set
        if self.embedding_model == "openai" and self.embedding_api_key is None and not own:
            raise ValueError(
                "QUIRE_EMBEDDING_MODEL=openai needs QUIRE_EMBEDDING_API_KEY,"
                " or QUIRE_EMBEDDING_BASE_URL for a server of your own"
            )
        return self

    def model_options(self) -> dict[str, Any]:
        """What `open_model` takes for the model that is chosen."""
        if self.embedding_model != "openai":
            return {"threads": self.embedding_threads}
        key = self.embedding_api_key
        return {
            "base_url": self.embedding_base_url,
            "api_key": key.get_secret_value() if key is not None else "none",
            "model": self.embedding_server_model,
            "dimensions": self.embedding_dimensions,
            "request_dimensions": self.embedding_shortened,
            "timeout_s": self.embedding_timeout_s,
        }
