"""The floor's participant: a batch of commands is one statement, one publish, one ack."""

import asyncio
import sys

import asyncpg

from saga.adapters.rabbitmq import RabbitBus
from tests.bench.floor import messages

WRITE = """
with inbox as (
    insert into saga_inbox (key, status, command_type, command_hash, command, reply_type, reply, recorded_at, forget_at)
    select key, 'ok', type, hash, body, 'floor.Done.v1', reply, 0, 0
    from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[]) as r (key, type, hash, body, reply)
)
insert into effects (order_id, step, amount_cents)
select order_id, step, 2000 from unnest($6::text[], $7::text[]) as r (order_id, step)
"""
HASH = bytes(32)


async def serve(url: str, database: str) -> None:
    """For ever."""
    connection = await asyncpg.connect(database)
    bus = await RabbitBus.open(url, name="floor participant")
    commands = await bus.consume(f"saga.commands.{messages.SERVICE}", 1_000)
    print("started", flush=True)
    while True:
        batch = await commands.receive()
        replies = [messages.reply(one) for one in batch]
        await connection.execute(
            WRITE,
            [one.headers["saga-idempotency-key"] for one in batch],
            [one.type for one in batch],
            [HASH] * len(batch),
            [one.body for one in batch],
            [one.body for one in replies],
            [one.headers["saga-key"] for one in batch],
            [one.headers["saga-step"] for one in batch],
        )
        await bus.publish(replies)
        await commands.settle(batch)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
