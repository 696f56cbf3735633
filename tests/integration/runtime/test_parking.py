"""Messages that nobody can handle, or that no queue takes: kept for a person, with the reason."""

import json
from typing import Any

import aio_pika
import pytest

from quire_contracts import DocumentUploaded, ProcessingFailed
from quire_runtime.consume import ATTEMPT, DELIVERIES, POSTPONED_SINCE, REASON
from quire_runtime.errors import Refused
from tests.integration.runtime.workbench import Bench
from tests.support import examples
from tests.support.broker import eventually


@pytest.mark.parametrize("headers", [{ATTEMPT: "many"}, {POSTPONED_SINCE: "yesterday"}, {ATTEMPT: None}])
async def test_a_message_whose_headers_make_no_sense_is_parked(bench: Bench, headers: dict[str, Any]) -> None:
    handled = []

    async def handler(event: DocumentUploaded) -> None:
        handled.append(event)

    body = examples.uploaded().to_json()
    async with bench.consuming(handler):
        await bench.seen.send(bench.topology.returned, bench.work, body, headers)
        parked = await bench.seen.take(bench.parked)
        await bench.settled()
    assert parked.body == body
    assert handled == []


async def test_a_message_that_workers_die_of_is_given_up_and_its_owner_is_told(bench: Bench) -> None:
    cause = examples.uploaded()
    await bench.publisher.publish(cause)
    async with await aio_pika.connect(bench.settings.broker_url) as connection:
        for _ in range(DELIVERIES):  # a worker takes it and dies
            channel = await connection.channel()
            queue = await channel.get_queue(bench.work)

            async def taken(queue: Any = queue) -> bool:
                return await queue.get(fail=False) is not None

            await eventually(taken, "the message is back in the queue")
            await channel.close()

    handled = []

    async def handler(event: DocumentUploaded) -> None:
        handled.append(event)

    async with bench.consuming(handler):
        events = await bench.seen.received(2)
        await bench.seen.take(bench.parked)
    assert handled == []
    assert isinstance(events[1], ProcessingFailed)
    assert events[1].data.reason == "exhausted"


async def test_a_refused_message_is_parked_without_a_word_to_the_owner(bench: Bench) -> None:
    async def handler(event: DocumentUploaded) -> None:
        raise Refused("the document is another workspace's")

    cause = examples.uploaded()
    await bench.publisher.publish(cause)
    async with bench.consuming(handler):
        parked = await bench.seen.take(bench.parked)
        await bench.settled()
    assert json.loads(parked.body)["id"] == cause.id
    assert [event.type for event in bench.seen.events] == [cause.type]


async def test_an_event_that_no_queue_takes_is_kept_in_the_unrouted_queue(bench: Bench) -> None:
    await bench.seen.send(bench.topology.events, "quire.of.nobody.v1", b"{}")
    taken = await bench.seen.take(bench.topology.unrouted)
    assert taken.routing_key == "quire.of.nobody.v1"


async def test_a_parked_message_says_why(bench: Bench) -> None:
    async def handler(event: DocumentUploaded) -> None:
        raise Refused("the document is another workspace's")

    await bench.publisher.publish(examples.uploaded())
    async with bench.consuming(handler):
        refused = await bench.seen.take(bench.parked)
        await bench.seen.send(bench.topology.returned, bench.work, b"not an event")
        undecodable = await bench.seen.take(bench.parked)
    assert refused.headers[REASON] == "refused: the document is another workspace's"
    assert str(undecodable.headers[REASON]).startswith("undecodable: ")
