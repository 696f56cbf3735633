"""The providers of enrichments, one module each."""

from quire_enricher.enrichment import Provider
from quire_enricher.settings import EnricherSettings


def open_provider(settings: EnricherSettings) -> Provider:
    """The provider that is configured; imports its SDK alone, which takes a second and 100 MB."""
    if settings.enrichment_provider == "local":
        from .local import LocalProvider

        return LocalProvider()
    base_url, model = settings.endpoint
    key = settings.enrichment_api_key
    # A server of one's own may need no key, but the SDKs would then look for one in the environment.
    api_key = key.get_secret_value() if key is not None else "none"
    timeout_s, characters = settings.enrichment_timeout_s, settings.enrichment_characters
    if settings.enrichment_provider == "anthropic":
        from .anthropic import AnthropicProvider

        return AnthropicProvider(
            api_key=api_key, model=model, base_url=base_url, timeout_s=timeout_s, characters=characters
        )
    from .openai import OpenAIProvider

    return OpenAIProvider(api_key=api_key, model=model, base_url=base_url, timeout_s=timeout_s, characters=characters)
