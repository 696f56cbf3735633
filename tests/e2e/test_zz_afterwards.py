"""After everything else: nothing is left on the broker."""

import time

import pytest

from tests.support import stack as stacks
from tests.support.stack import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(120)]


def test_no_queue_holds_a_message_unrouted_and_parked_ones_included_and_nothing_is_a_dead_letter(stack: Stack) -> None:
    deadline = time.monotonic() + 60
    while left := stacks.leftovers(stack):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    assert "quire.unrouted" in stack.depths()
    assert "quire.ingest.parked" in stack.depths()
    assert stack.status()["dead_letters"] == {}


def test_every_process_is_well(stack: Stack) -> None:
    report = stack.status()
    assert {row["name"] for row in report["processes"]} >= {
        "postgres", "rabbitmq", "redis", "gateway", "search", "ingest", "embedder", "enricher", "previewer",
    }  # fmt: skip
    assert [row for row in report["processes"] if row["state"] not in {"ready", "done"}] == []
