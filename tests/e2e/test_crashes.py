"""Services die in the middle of the work, and nothing is lost or done twice."""

import time

import httpx
import pytest

from tests.support import stack as stacks
from tests.support.documents import generate
from tests.support.stack import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(240)]


@pytest.mark.parametrize("service", ["ingest", "embedder", "enricher", "search", "previewer", "gateway"])
def test_a_service_is_killed_and_every_document_ends_once_in_the_index(stack: Stack, service: str) -> None:
    seed = 1000 + sum(map(ord, service)) * 100
    accepted: dict[str, str] = {}
    with stack.client() as client:
        for number, (name, content) in enumerate(generate.documents(24, seed)):
            try:
                accepted[stacks.upload(client, name, content)["id"]] = generate.token(seed + number)
            except httpx.TransportError:
                assert service == "gateway", "only the gateway's own death may cut a connection"
            if number == 11:
                stack.kill(service)
        _answers_again(client)
        done = stacks.finished(client, list(accepted), within_s=150)
        assert {document["status"] for document in done.values()} == {"ready"}
        for document_id, token in accepted.items():
            found = client.get("/api/v1/search", params={"q": token, "mode": "keyword"}).json()["data"]
            assert [hit["document"]["id"] for hit in found] == [document_id]


def _answers_again(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if client.get("/api/v1/readiness").json()["status"] == "ready":
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "the service is not back"
        time.sleep(0.1)
