"""A participant over RabbitMQ and Postgres while both are cut off again and again: each effect once, all answered."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from saga import wire
from saga.adapters.postgres.database import PostgresDatabase
from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply
from saga.adapters.system import SystemClock
from saga.contract import Command
from saga.core.messages import CommandMessage, Kind, Outcome, ReplyMessage
from saga.core.topology import wanted_topology
from saga.participant import Participant, Serving, run
from saga.ports import Bus, Subscription, Unavailable
from tests.conformance.inbox.bank import Pay, Transfer, World
from tests.proxy import FaultProxy
from tests.servers import PostgresServer, RabbitServer

SOON_SECONDS = 60.0
COUNT = 120


async def test_cut_connections_neither_lose_nor_repeat_an_effect(
    vhost: str, rabbit: RabbitServer, database: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Commands arrive twice, both servers are cut off again and again, and two processes share the queue."""
    (tmp_path / "0001_effects.sql").write_text("create table effects (idempotency_key text not null);")
    await apply(vhost, wanted_topology(["bank"]))
    await PostgresDatabase(database).migrate("bank", tmp_path)
    world = World()
    engine = await RabbitBus.open(vhost, name="engine")
    broker_host, store_host = address(rabbit.url), address(database)
    async with (
        FaultProxy(*broker_host) as broker,
        FaultProxy(*store_host) as store,
        serving(world, broker.url(vhost), store.url(database)),
        serving(world, vhost, database),
    ):
        replies = await engine.consume("saga.replies", 1_000)
        wanted = commands()
        await send(engine, [*wanted, *wanted])
        answered = await collect(engine, replies, wanted, cut=(broker.reset, store.reset))
    assert {reply.outcome for reply in answered.values()} == {Outcome.OK}
    check = PostgresDatabase(database)
    async with check.begin() as tx:
        rows = await tx.execute("select idempotency_key from effects")
        open_rows = await tx.execute("select key from saga_inbox where status <> 'ok'")
    await check.close()
    assert sorted(str(row[0]) for row in rows) == sorted(c.key for c in wanted if c.command == "Pay")
    assert set(world.provider) == {c.key for c in wanted if c.command == "Transfer"}
    assert open_rows == []
    await engine.close()


@asynccontextmanager
async def serving(world: World, amqp: str, dsn: str) -> AsyncIterator[None]:
    """One process of the service."""
    bus, service, stop = await RabbitBus.open(amqp, name="bank"), PostgresDatabase(dsn), asyncio.Event()
    participant = Participant("bank", world.handlers(), lease=timedelta(seconds=1))
    task = asyncio.create_task(run(Serving(participant, service, SystemClock(), dsn), bus, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, SOON_SECONDS)
        await bus.close()
        await service.close()


async def collect(
    engine: Bus, replies: Subscription, wanted: Sequence[CommandMessage], *, cut: Sequence[Callable[[], None]]
) -> dict[str, ReplyMessage]:
    """Answers that settle, by key; what is answered with `retry` is asked again, and every so often a cable is cut."""
    answered: dict[str, ReplyMessage] = {}
    by_key = {command.key: command for command in wanted}
    cuts = 0
    async with asyncio.timeout(SOON_SECONDS):
        while len(answered) < len(wanted):
            try:
                deliveries = await replies.receive()
            except Unavailable:
                continue
            await replies.settle(deliveries)
            for reply in map(wire.reply_from_wire, deliveries):
                if reply.outcome is Outcome.RETRY and reply.key not in answered:
                    await asyncio.sleep(0.02)
                    await send(engine, [by_key[reply.key]])
                elif reply.outcome is not Outcome.RETRY:
                    answered[reply.key] = reply
            if len(answered) > cuts * COUNT // 4 and cuts < 4:
                cuts += 1
                for reset in cut:
                    reset()
    assert cuts == 4
    return answered


async def send(bus: Bus, messages: Sequence[CommandMessage]) -> None:
    """Until the broker has them."""
    left = [wire.command_to_wire(message) for message in messages]
    while left:
        sent = await bus.publish(left)
        left = [message for message, one in zip(left, sent, strict=True) if one.outcome != "confirmed"]


def commands() -> list[CommandMessage]:
    """Half of them with their effect in the database, half at the provider."""
    return [a_command(number, (Pay if number % 2 else Transfer)(amount=number)) for number in range(COUNT)]


def a_command(number: int, body: Command[object, object]) -> CommandMessage:
    """As the engine would send it."""
    return CommandMessage(
        saga="0197f3a0-0000-7000-8000-000000000001",
        saga_name="order",
        saga_version=1,
        business_key="",
        path="pay",
        kind=Kind.ACTION,
        execution=1,
        attempt=1,
        service="bank",
        command=type(body).__name__,
        command_version=1,
        message_id=hashlib.md5(f"m{number}".encode()).hexdigest(),
        key=hashlib.md5(f"k{number}".encode()).hexdigest(),
        body=msgspec.json.encode(body),
    )


def address(url: str) -> tuple[str, int]:
    """Host and port of a server's url."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
