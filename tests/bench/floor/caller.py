"""The caller of the floor: keeps a window of orders open, in batches."""

import asyncio
import itertools
import sys
import time

import msgspec

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.system import SystemIds
from saga.ports import Subscription
from tests.bench.figures import Placed, percentile_ms
from tests.bench.floor import messages


async def serve(url: str, in_flight: int) -> None:
    """Answer lines of standard input, as `tests.bench.caller` does."""
    bus = await RabbitBus.open(url, name="floor caller")
    queue, reply_to = await bus.declare_results("floor")
    results = await bus.consume(queue, 1_000)
    print(msgspec.json.encode({"ready": True}).decode(), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        prefix, count = line.split()
        placed = await _place(bus, results, reply_to, [f"{prefix}-{number}" for number in range(int(count))], in_flight)
        print(msgspec.json.encode(placed).decode(), flush=True)


async def _place(bus: RabbitBus, results: Subscription, reply_to: str, orders: list[str], in_flight: int) -> Placed:
    ids, latencies, begun_at = SystemIds(), list[float](), dict[str, float]()
    begun = time.monotonic()
    waiting = iter(orders)
    room = in_flight
    while len(latencies) < len(orders):
        fresh = [messages.start(order, ids.message(), reply_to) for order in itertools.islice(waiting, room)]
        now = time.monotonic()
        begun_at |= {one.message_id: now for one in fresh}
        if fresh:
            await bus.publish(fresh)
        heard = await results.receive()
        now = time.monotonic()
        ended = [one for one in heard if one.type == "saga.ended.v1"]
        latencies += [now - begun_at.pop(one.headers["saga-in-reply-to"]) for one in ended]
        room = in_flight - len(begun_at)
        await results.settle(heard)
    seconds = time.monotonic() - begun
    return Placed(seconds=seconds, p50_ms=percentile_ms(latencies, 50), p99_ms=percentile_ms(latencies, 99))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
