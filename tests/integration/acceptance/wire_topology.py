"""The topology of the wire contract, declared by hand, for harness parts that are tried without the engine."""

import aio_pika
from aio_pika.abc import AbstractChannel

QUORUM = {"x-queue-type": "quorum"}


async def declare(channel: AbstractChannel, *services: str) -> None:
    """Exchanges, and the queues of replies, starts and these services."""
    exchanges = {}
    for name in ("saga.start", "saga.commands", "saga.replies", "saga.results", "saga.control"):
        exchanges[name] = await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
    bindings = [(name, name, "#") for name in ("saga.start", "saga.replies", "saga.control")]
    bindings += [(f"saga.commands.{service}", "saga.commands", f"{service}.#") for service in services]
    for queue_name, exchange, key in bindings:
        queue = await channel.declare_queue(queue_name, durable=True, arguments=dict(QUORUM))
        await queue.bind(exchanges[exchange], key)
