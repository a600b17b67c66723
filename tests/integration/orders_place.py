"""Two small sagas over real servers: a store, a broker, services that answer, callers, and orchestrators."""

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from saga import wire
from saga.adapters.postgres import PostgresStore, open_store
from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply
from saga.adapters.system import SystemClock, SystemIds
from saga.client import Client
from saga.core.definition import Step, canonical
from saga.core.messages import Outcome, ReplyEffect
from saga.core.plan import Plan
from saga.core.topology import START, command_queue, wanted_topology
from saga.engine.settings import EngineSettings
from saga.engine.worker import Orchestrator
from saga.ports import Delivery, Outgoing, ParkedMessage, SagaFilter, SagaRow, StoredDefinition, Unavailable
from tests.builders import INPUT_ID, plan, reply, step, template
from tests.servers.binaries import free_port
from tests.servers.process import ServerProcess

ROOT = Path(__file__).parents[2]
SOON = timedelta(seconds=40)
SOON_SECONDS = SOON.total_seconds()
POLL_SECONDS = 0.02
SERVICES = ("reserve-service", "charge-service")
READ_QUEUES = (
    "saga.start",
    "saga.commands.saga",
    "saga.replies",
    "saga.signals",
    "saga.control",
    "saga.parking",
    "saga.dead",
)
BROKER_USER = ("guest",)
"""The servers of a run have one user; whose replies are believed is its own test."""


def trusted(path: str) -> Step:
    """A compensatable step whose service speaks as the broker's only user."""
    service = f"{path}-service"
    return step(
        path,
        command=template(service, path.title(), senders=BROKER_USER),
        undo=template(service, f"Undo{path.title()}", senders=BROKER_USER),
    )


ORDER = plan(trusted("reserve"), trusted("charge"), key=INPUT_ID)
NOTE = plan(trusted("reserve"), name="note")
"""Names no business key."""


class Place:
    """Where a test takes place."""

    def __init__(self, dsn: str, amqp: str) -> None:
        self.dsn = dsn
        self.amqp = amqp
        self.counter: RabbitBus | None = None
        """What to look at queues with; without one each look connects."""

    async def prepare(self, services: Sequence[str] = SERVICES) -> None:
        """Tables, definitions, queues."""
        async with self.store() as store:
            await store.migrate()
        await self.publish(ORDER, NOTE)
        await self.declare(services)

    async def publish(self, *plans: Plan) -> None:
        """Definitions."""
        async with self.store() as store:
            for each in plans:
                definition = each.definition
                stored = StoredDefinition(each.hash, definition.name, definition.version, canonical(definition))
                await store.publish(stored)

    async def declare(self, services: Sequence[str] = SERVICES) -> None:
        """Queues."""
        await apply(self.amqp, wanted_topology(services))

    @asynccontextmanager
    async def store(self) -> AsyncIterator[PostgresStore]:
        """A connection to look with."""
        store = await open_store(self.dsn)
        try:
            yield store
        finally:
            await store.close()

    @asynccontextmanager
    async def orchestrating(self, settings: EngineSettings | None = None) -> AsyncIterator[Orchestrator]:
        """An orchestrator in this process, ready; drained at the end."""
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(self.store())
            bus = await stack.enter_async_context(self.bus("orchestrator"))
            engine = Orchestrator(store, bus, SystemClock(), SystemIds(), settings or EngineSettings())
            work = asyncio.create_task(engine.run())
            try:
                await until(lambda: engine.health.ready)
                yield engine
            finally:
                engine.stop()
                async with asyncio.timeout(SOON_SECONDS):
                    await work

    @asynccontextmanager
    async def bus(self, name: str) -> AsyncIterator[RabbitBus]:
        """A pair of connections."""
        bus = await RabbitBus.open(self.amqp, name=name)
        try:
            yield bus
        finally:
            await bus.close()

    @asynccontextmanager
    async def calling(self, name: str = "caller") -> AsyncIterator[Client]:
        """A caller on connections of its own."""
        async with self.bus(name) as bus:
            client = Client(bus, SystemIds(), name=name)
            try:
                yield client
            finally:
                await client.close()

    @asynccontextmanager
    async def serving(self, *services: str) -> AsyncIterator[list[str]]:
        """Services that answer ok to everything; the idempotency keys they saw, repeats and all."""
        seen: list[str] = []
        async with self.bus("services") as bus:
            works = [asyncio.create_task(_serve(bus, service, seen)) for service in services or SERVICES]
            try:
                yield seen
            finally:
                for work in works:
                    work.cancel()
                await asyncio.gather(*works, return_exceptions=True)

    async def rows(self, **where: Any) -> list[SagaRow]:
        """Sagas, newest first."""
        async with self.store() as store:
            return list(await store.sagas(msgspec.convert({"limit": 1_000, **where}, SagaFilter)))

    async def parked(self) -> list[ParkedMessage]:
        """Parked messages, oldest first."""
        async with self.store() as store:
            return [row.message for row in await store.parked(limit=1_000)][::-1]

    async def ready_counts(self, *queues: str) -> dict[str, int]:
        """Messages that wait in queues, delivered ones not counted."""
        if self.counter is not None:
            return await _counts(self.counter, queues)
        async with self.bus("counter") as bus:
            return await _counts(bus, queues)

    async def emptied(self, *queues: str) -> None:
        """Wait until these queues hold nothing, delivered or not: whoever closes gives back what it kept."""
        deadline = asyncio.get_running_loop().time() + SOON_SECONDS
        while any((counts := await self.ready_counts(*queues)).values()):
            assert asyncio.get_running_loop().time() < deadline, counts
            await asyncio.sleep(POLL_SECONDS)


async def _counts(bus: RabbitBus, queues: Sequence[str]) -> dict[str, int]:
    channel = await bus._publish_link.open_channel(confirms=False)
    try:
        return {queue: (await channel.queue_declare(queue, passive=True)).message_count or 0 for queue in queues}
    finally:
        await channel.close()


async def _serve(bus: RabbitBus, service: str, seen: list[str]) -> None:
    subscription = await bus.consume(command_queue(service), 200)
    while True:
        try:
            commands = await subscription.receive()
            sent = await bus.publish([answered(command, seen) for command in commands])
            outcomes = list(zip(commands, sent, strict=True))
            await subscription.settle(
                [command for command, result in outcomes if result.outcome == "confirmed"],
                [command for command, result in outcomes if result.outcome != "confirmed"],
            )
        except Unavailable:
            await asyncio.sleep(POLL_SECONDS)


def answered(delivery: Delivery, seen: list[str]) -> Outgoing:
    """An honest ok."""
    command = wire.command_from_wire(delivery)
    seen.append(command.key)
    return wire.reply_to_wire(reply(command, Outcome.OK, effect=ReplyEffect.APPLIED))


class RunProcess:
    """`saga run`, or another command that has a readiness endpoint, as a process of its own."""

    command = "run"

    def __init__(self, place: Place, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.health = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "saga.cli", "--amqp", place.amqp, "--store", place.dsn]
        self.process = ServerProcess(
            [*command, self.command, "--health", self.health, *options],
            folder=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )

    @property
    def log(self) -> str:
        """What it wrote."""
        return self.process.log.read_text()

    def readiness(self) -> dict[str, Any]:
        """What `/readyz` says; nothing while it does not listen."""
        try:
            with urllib.request.urlopen(f"http://{self.health}/readyz", timeout=5) as answer:
                return dict(json.load(answer), status=answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error), status=error.code)
        except OSError:
            return {}

    async def until(self, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until readiness says so."""
        deadline = asyncio.get_running_loop().time() + SOON_SECONDS
        while not true(found := await asyncio.to_thread(self.readiness)):
            assert asyncio.get_running_loop().time() < deadline, (found, self.log[-2_000:])
            assert self.process.running, self.log[-2_000:]
            await asyncio.sleep(POLL_SECONDS)
        return found

    async def ready(self) -> dict[str, Any]:
        """Wait until it is ready."""
        return await self.until(lambda found: found.get("ready"))

    async def stop(self) -> int | None:
        """SIGTERM; its exit code."""
        await asyncio.to_thread(self.process.terminate)
        return self.process.exit_code


async def until(true: Callable[[], object]) -> None:
    """Poll."""
    async with asyncio.timeout(SOON_SECONDS):
        while not true():
            await asyncio.sleep(POLL_SECONDS)


def order(number: int | str) -> dict[str, str]:
    """The input of an order."""
    return {"id": f"o{number}"}


__all__ = ["NOTE", "ORDER", "START", "Place", "RunProcess", "order", "until"]
