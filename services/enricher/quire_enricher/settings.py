"""The enricher's settings."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from quire_runtime.settings import ServiceSettings

_DEFAULTS = {
    "anthropic": ("https://api.anthropic.com", "claude-haiku-4-5"),
    "openai": ("https://api.openai.com/v1", "gpt-4.1-mini"),
}


class EnricherSettings(ServiceSettings):
    """Environment variables QUIRE_ENRICHMENT_…, beside those that every service has."""

    enrichment_provider: Literal["local", "anthropic", "openai"] = "local"
    enrichment_api_key: SecretStr | None = Field(default=None, description="Needed by the providers' own servers")
    enrichment_base_url: str = Field(
        default="", description="Another server that speaks the provider's protocol, for example an Ollama's .../v1"
    )
    enrichment_model: str = Field(default="", description="By default a small model of the provider")
    enrichment_timeout_s: float = Field(default=90, gt=0, description="Longest wait for one answer")
    enrichment_characters: int = Field(
        default=24_000, ge=500, description="How much of a document is sent to a paid provider, from its beginning"
    )

    @model_validator(mode="after")
    def _provider_is_complete(self) -> Self:
        if self.enrichment_provider != "local" and not self.enrichment_base_url and self.enrichment_api_key is None:
            raise ValueError(
                f"QUIRE_ENRICHMENT_PROVIDER={self.enrichment_provider} needs QUIRE_ENRICHMENT_API_KEY,"
                " or QUIRE_ENRICHMENT_BASE_URL for a server of your own"
            )
        return self

    @property
    def endpoint(self) -> tuple[str, str]:
        """Base URL and model of the paid provider that is chosen."""
        base_url, model = _DEFAULTS[self.enrichment_provider]
        return self.enrichment_base_url or base_url, self.enrichment_model or model
