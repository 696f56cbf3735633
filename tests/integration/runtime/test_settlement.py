"""The four outcomes of a handler, on a real broker."""

import asyncio
import json

import pytest
from prometheus_client import REGISTRY

from quire_contracts import DocumentUploaded, ProcessingFailed, TextExtracted, Topology
from quire_contracts.topology import consumer_of
from quire_runtime.consume import (
    ATTEMPT,
    REASON,
    Consumption,
    consumption,
)
from quire_runtime.errors import Later, Permanent
from quire_runtime.publish import Publisher, declare
from quire_runtime.settings import ServiceSettings
from tests.integration.runtime.workbench import Bench
from tests.support import examples
from tests.support.broker import eventually


async def test_what_a_handler_returns_is_published_and_the_message_is_gone(bench: Bench) -> None:
    cause = examples.uploaded()

    async def handler(event: DocumentUploaded) -> TextExtracted:
        return examples.extracted(event)

    await bench.publisher.publish(cause)
    async with bench.consuming(handler):
        events = await bench.seen.received(2)
    assert [event.type for event in events] == ["quire.document.uploaded.v1", "quire.text.extracted.v1"]
    assert events[1].causationid == cause.id
    assert events[1].correlationid == cause.correlationid
    assert await bench.seen.depth(bench.work) == 0
    assert await bench.seen.depth(bench.parked) == 0


async def test_a_message_that_was_handled_is_counted_as_done(bench: Bench) -> None:
    labels = {"service": "ingest", "type": DocumentUploaded.type_name(), "outcome": "done"}

    def done() -> float:
        return REGISTRY.get_sample_value("quire_messages_total", labels) or 0.0

    async def handler(event: DocumentUploaded) -> TextExtracted:
        return examples.extracted(event)

    async def counted() -> bool:
        return done() == before + 1

    before = done()
    await bench.publisher.publish(examples.uploaded())
    async with bench.consuming(handler):
        await eventually(counted, "the message is counted")


async def test_a_message_delivered_twice_emits_the_same_event_id_twice(bench: Bench) -> None:
    cause = examples.uploaded()

    async def handler(event: DocumentUploaded) -> TextExtracted:
        return examples.extracted(event)

    await bench.publisher.publish(cause)
    await bench.publisher.publish(cause)
    async with bench.consuming(handler):
        events = await bench.seen.received(4)
    emitted = [event.id for event in events if isinstance(event, TextExtracted)]
    assert len(emitted) == 2
    assert emitted[0] == emitted[1]


async def test_bad_input_fails_the_stage_without_a_retry(bench: Bench) -> None:
    attempts = []

    async def handler(event: DocumentUploaded) -> None:
        attempts.append(event.id)
        raise Permanent("encrypted", "The PDF has a password.")

    cause = examples.uploaded()
    await bench.publisher.publish(cause)
    async with bench.consuming(handler):
        events = await bench.seen.received(2)
        await bench.settled()
    failure = events[1]
    assert isinstance(failure, ProcessingFailed)
    assert (failure.data.stage, failure.data.reason, failure.data.detail) == (
        "ingest", "encrypted", "The PDF has a password.",
    )  # fmt: skip
    assert failure.source == "/quire/ingest"
    assert len(attempts) == 1
    assert await bench.seen.depth(bench.parked) == 0


async def test_a_passing_failure_climbs_the_ladder_and_then_succeeds(bench: Bench) -> None:
    attempts = []

    async def handler(event: DocumentUploaded) -> TextExtracted:
        attempts.append(event.id)
        if len(attempts) < 3:
            raise ConnectionError("the store is away")
        return examples.extracted(event)

    await bench.publisher.publish(examples.uploaded())
    async with bench.consuming(handler):
        events = await bench.seen.received(2)
        await bench.settled()
    assert len(attempts) == 3
    assert isinstance(events[1], TextExtracted)
    assert await bench.seen.depth(bench.parked) == 0


async def test_a_failure_that_does_not_pass_is_parked_with_its_reason_and_announced(bench: Bench) -> None:
    attempts = []

    async def handler(event: DocumentUploaded) -> None:
        attempts.append(event.id)
        raise ConnectionError("the store is away")

    cause = examples.uploaded()
    await bench.publisher.publish(cause)
    async with bench.consuming(handler):
        events = await bench.seen.received(2)
        parked = await bench.seen.take(bench.parked)
        await bench.settled()
    failure = events[1]
    assert isinstance(failure, ProcessingFailed)
    assert failure.data.reason == "exhausted"
    assert failure.data.attempts == len(attempts) == 3
    assert json.loads(parked.body)["id"] == cause.id
    assert parked.headers[ATTEMPT] == 3
    assert "the store is away" in str(parked.headers[REASON])


async def test_a_postponed_message_comes_back_without_an_attempt_counted(bench: Bench) -> None:
    calls = []

    async def handler(event: DocumentUploaded) -> TextExtracted:
        calls.append(event.id)
        if len(calls) <= 5:
            raise Later(0.01, "the provider is busy")
        return examples.extracted(event)

    await bench.publisher.publish(examples.uploaded())
    async with bench.consuming(handler):
        events = await bench.seen.received(2)
        await bench.settled()
    assert len(calls) == 6, "more deliveries than the ladder has steps"
    assert isinstance(events[1], TextExtracted)
    assert await bench.seen.depth(bench.parked) == 0


async def test_postponing_ends_at_its_deadline(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(update={"postpone_deadline_s": 0.001})

    async def handler(event: DocumentUploaded) -> None:
        raise Later(0.01, "the provider is busy")

    await bench.publisher.publish(examples.uploaded())
    async with bench.consuming(handler):
        events = await bench.seen.received(2)
        await bench.seen.take(bench.parked)
    assert isinstance(events[1], ProcessingFailed)
    assert events[1].data.reason == "exhausted"


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"{}", b'{"type":"quire.document.uploaded.v1"}', b'{"type":"quire.of.tomorrow.v9","id":"1"}'],
)
async def test_what_cannot_be_decoded_is_parked_and_never_handled(bench: Bench, body: bytes) -> None:
    handled = []

    async def handler(event: DocumentUploaded) -> None:
        handled.append(event)

    async with bench.consuming(handler):
        await bench.seen.send(bench.topology.returned, bench.work, body)
        parked = await bench.seen.take(bench.parked)
    assert parked.body == body
    assert handled == []


async def test_an_unknown_field_is_accepted(bench: Bench) -> None:
    event = examples.uploaded()
    body = json.dumps({**json.loads(event.to_json()), "tomorrow": 1}).encode()

    async def handler(event: DocumentUploaded) -> TextExtracted:
        return examples.extracted(event)

    async with bench.consuming(handler):
        await bench.seen.send(bench.topology.events, event.type, body)
        events = await bench.seen.received(2)
    assert isinstance(events[1], TextExtracted)


async def test_one_bad_message_does_not_hold_up_its_neighbours(bench: Bench) -> None:
    bad, *good = [examples.uploaded() for _ in range(20)]

    async def handler(event: DocumentUploaded) -> TextExtracted:
        if event.id == bad.id:
            raise ConnectionError("only this one")
        return examples.extracted(event)

    for event in (bad, *good):
        await bench.publisher.publish(event)
    async with bench.consuming(handler):
        await bench.seen.take(bench.parked)
        await bench.settled()
    done = {event.subject for event in bench.seen.events if isinstance(event, TextExtracted)}
    assert done == {event.subject for event in good}


async def test_stopping_finishes_what_is_in_hand_and_leaves_the_rest(bench: Bench) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def handler(event: DocumentUploaded) -> TextExtracted:
        begun.set()
        await release.wait()
        return examples.extracted(event)

    prefetch = consumer_of("ingest").prefetch
    for _ in range(prefetch + 5):
        await bench.publisher.publish(examples.uploaded())
    consuming = bench.consuming(handler)
    await consuming.__aenter__()
    await begun.wait()
    stopping = asyncio.create_task(consuming.__aexit__(None, None, None))
    release.set()
    await stopping
    finished = [event for event in bench.seen.events if isinstance(event, TextExtracted)]

    async def rest_is_there() -> bool:
        done = len([event for event in bench.seen.events if isinstance(event, TextExtracted)])
        waiting = await bench.seen.depth(bench.work) + await bench.seen.depth(bench.bulk)
        return done >= 1 and waiting == prefetch + 5 - done

    await eventually(rest_is_there, f"what was not finished is in the queue again ({len(finished)} were)")
    assert await bench.seen.depth(bench.parked) == 0


async def test_a_consumer_that_the_broker_cancels_consumes_again(bench: Bench) -> None:
    async def handler(event: DocumentUploaded) -> TextExtracted:
        return examples.extracted(event)

    async with bench.consuming(handler) as consuming:
        await eventually(consuming.is_alive, "the consumer is up")
        async with await bench.seen._connection.channel() as channel:
            await channel.queue_delete(bench.work)
        await eventually(lambda: _dead(consuming), "the consumer is noticed to be gone")
        await declare(bench.settings.broker_url, bench.topology)
        await eventually(consuming.is_alive, "the consumer is up again")
        await bench.publisher.publish(examples.uploaded())
        events = await bench.seen.received(2)
    assert isinstance(events[1], TextExtracted)


async def _dead(consuming: Consumption) -> bool:
    return not await consuming.is_alive()


def test_handlers_that_do_not_match_the_topology_are_a_defect(settings: ServiceSettings) -> None:
    with pytest.raises(ValueError, match="topology says"):
        Consumption(consumer_of("ingest"), {}, Publisher(settings, Topology()), Topology(), settings)


async def test_what_is_beyond_a_workspaces_share_waits_in_the_bulk_queue_and_others_pass(
    bench: Bench, settings: ServiceSettings
) -> None:
    """The flood's documents in hand are held; the other workspace's document is handled all the same."""
    held, handled = asyncio.Event(), asyncio.Event()

    async def handler(event: DocumentUploaded) -> TextExtracted:
        if event.workspaceid == "ws_flood":
            await held.wait()
        else:
            handled.set()
        return examples.extracted(event)

    few = settings.model_copy(update={"prefetch": 8})
    flood = [examples.uploaded(workspace="ws_flood") for _ in range(30)]
    for event in flood:
        await bench.publisher.publish(event)
    async with consumption(consumer_of("ingest"), {DocumentUploaded: handler}, bench.publisher, bench.topology, few):

        async def moved() -> bool:  # two are in hand from the share, and four from the bulk queue
            return await bench.seen.depth(bench.bulk) == len(flood) - 6

        await eventually(moved, "the flood is in the bulk queue")
        await bench.publisher.publish(examples.uploaded(workspace="ws_quiet"))
        async with asyncio.timeout(10):
            await handled.wait()
        assert await bench.seen.depth(bench.bulk) == len(flood) - 6
        held.set()
        events = await bench.seen.received(2 * (len(flood) + 1))
        await bench.seen.empty(bench.bulk, bench.work)
    extracted = [event.subject for event in events if isinstance(event, TextExtracted)]
    assert sorted(extracted) == sorted({event.subject for event in events if isinstance(event, DocumentUploaded)})
    assert len(extracted) == len(flood) + 1
