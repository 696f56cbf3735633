"""Opens a model by its name, importing only what that model needs."""

from typing import Any, Literal, assert_never

from quire_models.space import EmbeddingModel

ModelName = Literal["static", "minilm", "openai"]


def open_model(name: ModelName, **options: Any) -> EmbeddingModel:
    """Loads a model; `options` are the keyword arguments of `StaticModel`, `MiniLM` or `OpenAIServer`.

    Blocks for 0.1 s (static), about 0.5 s (minilm) or not at all (openai), so a service opens its model while it
    starts. Reads nothing but installed wheels: no file is downloaded. Raises PackageNotFoundError or
    FileNotFoundError where a wheel is missing, TypeError for an option that the model does not have.
    """
    match name:
        case "static":
            from quire_models.static import StaticModel

            return StaticModel(**options)
        case "minilm":
            from quire_models.minilm import MiniLM

            return MiniLM(**options)
        case "openai":
            from quire_models.openai_server import OpenAIServer

            return OpenAIServer(**options)
        case _:
            assert_never(name)
