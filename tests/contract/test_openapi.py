"""The committed OpenAPI document is the one that the gateway serves."""

import json
from pathlib import Path

import pytest

from quire_gateway.main import build
from quire_gateway.openapi import OPEN, document
from quire_gateway.settings import GatewaySettings

COMMITTED = Path(__file__).parents[2] / "docs" / "api" / "openapi.json"


@pytest.fixture(scope="module")
def served() -> dict[str, object]:
    return document(build(GatewaySettings()).app)


def test_the_committed_document_is_what_the_gateway_serves(served: dict[str, object]) -> None:
    assert json.loads(COMMITTED.read_text()) == json.loads(json.dumps(served)), "run `make contracts`"


def test_every_operation_documents_its_errors_as_problem_documents_and_needs_a_key() -> None:
    paths = json.loads(COMMITTED.read_text())["paths"]
    assert "/api/v1/documents" in paths
    for path, operations in paths.items():
        for method, operation in operations.items():
            if path in OPEN:
                assert operation["security"] == []
            else:
                assert operation["security"], f"{method} {path} needs no key"
                assert "application/problem+json" in operation["responses"]["default"]["content"]
