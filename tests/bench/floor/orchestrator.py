"""The floor's orchestrator: the next command for each reply, a history row for each hop, one statement a batch."""

import asyncio
import sys
from collections.abc import Sequence

import asyncpg

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.system import SystemIds
from saga.ports import Outgoing
from tests.bench.floor import messages

BEGIN = """
with born as (
    insert into sagas (id, name, start_key, input_hash, root, definition, version, status, wait_kind, wait_text, tags)
    select id, 'floor', key, '', id, '', 1, 'running', 'reply', '', '{}'
    from unnest($1::uuid[], $2::text[]) as n (id, key)
)
insert into history (saga, version, cause, data)
select id, 1, 'start', data from unnest($1::uuid[], $3::bytea[]) as n (id, data)
"""
ADVANCE = """
with moved as (
    update sagas s set version = r.version from unnest($1::uuid[], $2::integer[]) as r (id, version) where s.id = r.id
)
insert into history (saga, version, cause, data)
select id, version, 'reply', data from unnest($1::uuid[], $2::integer[], $3::bytea[]) as r (id, version, data)
"""
EVENTS = b"x" * 300
"""As large as what the engine writes a hop."""


class Floor:
    """Which order a saga is for is kept in memory; it is no engine."""

    def __init__(self, bus: RabbitBus, pool: asyncpg.Pool) -> None:
        self._bus = bus
        self._pool = pool
        self._ids = SystemIds()
        self._open: dict[str, tuple[str, bytes, str, str]] = {}

    async def starts(self) -> None:
        """Take orders, for ever."""
        subscription = await self._bus.consume("saga.start", 1_000)
        while True:
            batch = await subscription.receive()
            out: list[Outgoing] = []
            sagas = [self._ids.saga() for _ in batch]
            for saga, one in zip(sagas, batch, strict=True):
                order_id = one.headers["saga-key"]
                self._open[saga] = (order_id, one.body, one.message_id, one.reply_to)
                out += [
                    messages.command(saga, order_id, 0, one.body),
                    messages.result("accepted", saga, one.message_id, one.reply_to),
                ]
            keys = [one.headers["saga-key"] for one in batch]
            await self._pool.execute(BEGIN, sagas, keys, [EVENTS] * len(batch))
            await asyncio.gather(self._bus.publish(out), subscription.settle(batch))

    async def replies(self) -> None:
        """Go on, for ever."""
        subscription = await self._bus.consume("saga.replies", 1_000)
        while True:
            batch = await subscription.receive()
            sagas = [one.correlation_id for one in batch]
            steps = [messages.STEPS.index(one.headers["saga-step"]) for one in batch]
            await self._pool.execute(ADVANCE, sagas, [step + 2 for step in steps], [EVENTS] * len(batch))
            await asyncio.gather(self._bus.publish(self._next(sagas, steps)), subscription.settle(batch))

    def _next(self, sagas: Sequence[str], steps: Sequence[int]) -> list[Outgoing]:
        out: list[Outgoing] = []
        for saga, step in zip(sagas, steps, strict=True):
            order_id, body, message_id, reply_to = self._open[saga]
            if step + 1 < len(messages.STEPS):
                out.append(messages.command(saga, order_id, step + 1, body))
            else:
                out.append(messages.result("ended", saga, message_id, reply_to))
                del self._open[saga]
        return out


async def serve(url: str, database: str) -> None:
    """For ever."""
    async with asyncpg.create_pool(database, min_size=2, max_size=2) as pool:
        floor = Floor(await RabbitBus.open(url, name="floor orchestrator"), pool)
        print("started", flush=True)
        await asyncio.gather(floor.starts(), floor.replies())


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
