"""First figures of the order saga on real servers: latency alone, throughput saturated, CPU per order by process.

    python -m tests.bench.orders [--alone 200] [--orders 2000] [--in-flight 200] [--json]

Private RabbitMQ (quorum queues) and PostgreSQL (fsync and synchronous_commit on), four services with their inboxes,
the carrier over HTTP and the mail sink over SMTP, every part its own process, no faults. One order is six commits of
the engine: started, reserved, charged, quoted, booked, confirmed.
"""

import argparse
import asyncio
import os
import platform
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import msgspec

from contracts.inventory import Line
from contracts.ordering import PlaceOrder
from contracts.shipping import Address
from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.system import SystemIds
from saga.client import Client
from services.ordering.definitions import order
from services.world.behaviour import Settings
from tests.acceptance.town import Town, Troubles
from tests.bench.cpu import cpu_seconds
from tests.bench.figures import percentile_ms

CALM = Troubles(
    carrier=Settings(refuse_rate=0, unavailable_rate=0, drop_before_rate=0, drop_after_rate=0, slow_rate=0),
    transient_rate=0,
    mail_refuse_rate=0,
)
WARM_UP_ORDERS = 50


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one town showed."""

    orchestrators: int
    alone_p50_ms: float
    alone_p99_ms: float
    orders_per_second: float
    saturated_p50_ms: float
    saturated_p99_ms: float
    cpu_ms_per_order: dict[str, float]


async def measure(town: Town, *, alone: int, orders: int, in_flight: int) -> Figures:
    """Load an open town: first one order at a time, then as many at once as told."""
    bus = await RabbitBus.open(town.amqp("driver"), name="bench")
    client = Client(bus, SystemIds(), name="bench")
    try:
        await _place(client, "warm", WARM_UP_ORDERS, in_flight=10)
        single = await _place(client, "alone", alone, in_flight=1)
        before, begun = _cpu(town), time.monotonic()
        many = await _place(client, "many", orders, in_flight=in_flight)
        seconds, after = time.monotonic() - begun, _cpu(town)
    finally:
        await client.close()
        await bus.close()
    return Figures(
        orchestrators=len(town.orchestrators),
        alone_p50_ms=percentile_ms(single, 50),
        alone_p99_ms=percentile_ms(single, 99),
        orders_per_second=round(orders / seconds, 1),
        saturated_p50_ms=percentile_ms(many, 50),
        saturated_p99_ms=percentile_ms(many, 99),
        cpu_ms_per_order={name: round((after[name] - before[name]) * 1_000 / orders, 2) for name in after},
    )


async def _place(client: Client, prefix: str, count: int, *, in_flight: int) -> list[float]:
    """Seconds from start to end of each order; all must complete."""
    room = asyncio.Semaphore(in_flight)

    async def one(number: int) -> float:
        async with room:
            begun = time.monotonic()
            ended = await client.run(order, _order(f"{prefix}-{number}", number))
            if ended.status != "completed":
                raise RuntimeError(f"{prefix}-{number} ended {ended.status}: {ended.reason}")
            return time.monotonic() - begun

    return list(await asyncio.gather(*(one(number) for number in range(count))))


def _order(order_id: str, number: int) -> PlaceOrder:
    return PlaceOrder(
        order_id=order_id,
        customer=f"customer-{number}",
        email="bench@example.com",
        address=Address(name="Bench", street="1 Quay", city="Bremen", country="DE"),
        lines=(Line(sku=f"sku-{number % 50 + 1}", unit_count=1),),
        total=Decimal("20.00"),
    )


def _cpu(town: Town) -> dict[str, float]:
    """CPU seconds so far of every process, and of each server with its children; all of them are children of ours."""
    pids = {name: member.pid for name, member in town.fleet.members.items()}
    servers = {"rabbitmq": town.rabbit.pid, "postgres": town.postgres.pid}
    return {**cpu_seconds({**pids, **servers}), "caller": time.process_time()}


def main() -> None:
    """Measure with one and with two orchestrators, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.orders", description="First figures.")
    parser.add_argument("--alone", type=int, default=200)
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: list[Figures] = []
    for orchestrators in (1, 2):
        with tempfile.TemporaryDirectory(prefix="saga-bench-") as folder:
            town = Town(Path(folder), CALM, orchestrators=orchestrators)
            try:
                town.open()
                versions = f"RabbitMQ {town.rabbit.version}, PostgreSQL {town.postgres.version}"
                load = {"alone": given.alone, "orders": given.orders, "in_flight": given.in_flight}
                found.append(asyncio.run(measure(town, **load)))
            finally:
                town.close()
        if not given.json:
            _print(found[-1], versions)
    if given.json:
        print(msgspec.json.encode(found).decode())


def _print(figures: Figures, versions: str) -> None:
    place = f"{versions}, Python {platform.python_version()}, {os.cpu_count()} cores"
    print(f"\n{figures.orchestrators} orchestrator(s), {place}")
    print(f"  one order alone      p50 {figures.alone_p50_ms} ms, p99 {figures.alone_p99_ms} ms")
    print(f"  saturated            {figures.orders_per_second} orders/s")
    print(f"                       p50 {figures.saturated_p50_ms} ms, p99 {figures.saturated_p99_ms} ms")
    total = sum(figures.cpu_ms_per_order.values())
    print(f"  CPU per order        {total:.1f} ms, of which")
    for name, cpu_ms in sorted(figures.cpu_ms_per_order.items(), key=lambda item: -item[1]):
        print(f"    {name:18} {cpu_ms:6.2f} ms")


if __name__ == "__main__":
    main()
