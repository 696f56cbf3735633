"""How many messages wait in each queue and how many consumers take them, asked over AMQP."""

from dataclasses import dataclass

import aiormq


@dataclass(frozen=True)
class Depth:
    queue: str
    messages: int | None
    """Ready messages; None when the queue does not exist yet."""
    consumers: int | None


async def depths(url: str, queues: list[str]) -> list[Depth]:
    """One row for each queue, in the order given; raises ConnectionError when the broker is not there."""
    connection = await aiormq.connect(url)
    found = []
    try:
        channel = await connection.channel()
        for queue in queues:
            try:
                answer = await channel.queue_declare(queue, passive=True)
                found.append(Depth(queue, answer.message_count, answer.consumer_count))
            except aiormq.exceptions.ChannelNotFoundEntity:
                # The broker closes a channel that asks for what is not there.
                channel = await connection.channel()
                found.append(Depth(queue, None, None))
    finally:
        await connection.close()
    return found
