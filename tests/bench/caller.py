"""The caller of the engine, a process of its own: places orders and waits for the end of each.

For each line `PREFIX COUNT` of standard input, as many orders are placed; the answer is a line of JSON.
"""

import asyncio
import sys
import time

import msgspec

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.system import SystemIds
from saga.client import Client
from tests.bench.figures import Placed, percentile_ms
from tests.bench.ours.contracts import PlaceOrder
from tests.bench.ours.definition import bench

AMOUNT_CENTS = 2_000


async def serve(url: str, in_flight: int) -> None:
    """Answer until standard input ends."""
    bus = await RabbitBus.open(url, name="bench caller")
    client = Client(bus, SystemIds(), name="bench")
    print(msgspec.json.encode({"ready": True}).decode(), flush=True)
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            prefix, count = line.split()
            placed = await _place(client, prefix, int(count), in_flight)
            print(msgspec.json.encode(placed).decode(), flush=True)
    finally:
        await client.close()
        await bus.close()


async def _place(client: Client, prefix: str, count: int, in_flight: int) -> Placed:
    latencies: list[float] = []
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            begun = time.monotonic()
            order_id = f"{prefix}-{number}"
            ended = await client.run(bench, PlaceOrder(order_id=order_id, amount_cents=AMOUNT_CENTS), key=order_id)
            if ended.output is None or ended.output.reference != f"confirm-{order_id}":
                raise RuntimeError(f"{order_id} ended {ended.status}: {ended.output} {ended.reason}")
            latencies.append(time.monotonic() - begun)

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(in_flight, count)):
            group.create_task(some())
    seconds = time.monotonic() - begun
    return Placed(seconds=seconds, p50_ms=percentile_ms(latencies, 50), p99_ms=percentile_ms(latencies, 99))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
