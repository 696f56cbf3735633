"""The OpenAPI 3.1 document of the public API, served at /api/v1/openapi.json and committed under docs/."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from .problems import ProblemDocument

DESCRIPTION = (
    "Upload documents, follow their processing, and find them by meaning and by word. Every request needs an API key, "
    "as `X-API-Key` or as `Authorization: Bearer`. Every error is an RFC 9457 problem document."
)
OPEN = ("/api/v1/health", "/api/v1/readiness", "/api/v1/openapi.json")
"""What is answered without a key."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an app whose routes are in place."""
    made = get_openapi(
        title="Quire", version="1.0.0", openapi_version="3.1.0", description=DESCRIPTION, routes=app.routes
    )
    components = made.setdefault("components", {})
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"] = {**components.get("schemas", {}), **problem.pop("$defs", {}), "ProblemDocument": problem}
    components["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Bearer": {"type": "http", "scheme": "bearer"},
    }
    for path, operations in made["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # ours is a problem document, like every other error
            operation["security"] = [] if path in OPEN else [{"ApiKey": []}, {"Bearer": []}]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return made


def install(app: FastAPI) -> None:
    """Serve the document."""
    made: list[dict[str, Any]] = []

    @app.get("/api/v1/openapi.json", include_in_schema=False)
    async def openapi_json() -> dict[str, Any]:
        if not made:
            made.append(document(app))
        return made[0]
