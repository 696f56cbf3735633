"""Follow what happens to documents from another system: needs quire_contracts and aio-pika, nothing else of Quire."""

import asyncio
import os

import aio_pika

from quire_contracts import Topology, parse_event


async def main() -> None:
    async with await aio_pika.connect(os.environ["QUIRE_BROKER_URL"]) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("my-system", durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(Topology().events, "quire.#")
        print("subscribed", flush=True)
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    event = parse_event(message.body)
                    print(event.to_json().decode(), flush=True)


asyncio.run(main())
