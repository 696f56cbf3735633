"""One stack for all end-to-end tests; they share it, so each uses documents of its own."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.support import stack as stacks
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Every server and service of Quire, as processes."""
    with stacks.running() as running:
        yield running


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """A client with the key of the first workspace."""
    with stack.client() as client:
        yield client


@pytest.fixture
def own(request: pytest.FixtureRequest) -> str:
    """A sentence of the test's own, so that its documents are new and can be found."""
    return f"{request.node.name} {uuid.uuid4().hex}"
