"""A service at work in a test: its handler, its broker, a clock that nobody waits for, and databases that fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from saga import wire
from saga.adapters.memory.bus import MemoryBroker, MemoryBus
from saga.contract import Command, Context, Effect, command
from saga.core.messages import CommandMessage, Kind, ReplyMessage
from saga.core.topology import Topology, wanted_topology
from saga.participant import Participant, Serving, serve_batch
from saga.ports import Database, Delivery, Outgoing, Transaction

QUEUE = "saga.commands.bank"
TRACE = f"00-{'1' * 32}-{'2' * 16}-01"


class Done(msgspec.Struct, frozen=True):
    """A reply."""

    amount: int


@command(service="bank", effect=Effect.INBOX)
class Pay(Command[Done], frozen=True):
    """A command with an effect."""

    amount: int


class Clock:
    """Time that passes only where somebody waits for it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept = asyncio.Event()

    def now(self) -> datetime:
        """From a fixed start."""
        return datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """The same."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Passes at once, except that nobody purges again."""
        self.slept.set()
        if seconds >= 60:
            await asyncio.Event().wait()
        self.seconds += seconds
        await asyncio.sleep(0)


class Till:
    """The handler, the broker and one process of the service."""

    def __init__(self, database: Database, topology: Topology | None = None, **limits: Any) -> None:
        self.broker = MemoryBroker(wanted_topology(["bank"]) if topology is None else topology)
        self.engine: MemoryBus = self.broker.bus("orchestrator")
        self.bus: MemoryBus = self.broker.bus("bank")
        self.clock = Clock()
        self.during: Callable[[Context], Awaitable[object]] | None = None
        self.runs = 0
        handlers = [Pay.handled_by(self._pay)]
        self.serving = Serving(Participant("bank", handlers, **limits), database, self.clock, "till-1")

    async def _pay(self, cmd: Pay, ctx: Context) -> Done:
        self.runs += 1
        if self.during is not None:
            await self.during(ctx)
        return Done(amount=cmd.amount)

    async def send(self, *messages: Outgoing) -> None:
        """As the engine would."""
        for sent in await self.engine.publish(messages):
            assert sent.outcome == "confirmed", sent

    async def replies(self, count: int = 1) -> list[ReplyMessage]:
        """What the engine would read."""
        return [wire.reply_from_wire(delivery) for delivery in await self.take("saga.replies", count)]

    async def take(self, queue: str, count: int = 1) -> list[Delivery]:
        """Take and acknowledge messages."""
        subscription = await self.engine.consume(queue, 100)
        taken: list[Delivery] = []
        while len(taken) < count:
            taken += await subscription.receive()
        await subscription.settle(taken)
        await subscription.close()
        return taken

    async def serve(self) -> None:
        """One batch."""
        subscription = await self.bus.consume(QUEUE, 100)
        await serve_batch(self.serving, self.bus, subscription, await subscription.receive())
        await subscription.close()


def pay(number: int = 1, **fields: Any) -> CommandMessage:
    """A command as the engine would make it."""
    return CommandMessage(
        saga="0197f3a0-0000-7000-8000-000000000001",
        saga_name="order",
        saga_version=1,
        business_key="A-1",
        path="pay",
        kind=Kind.ACTION,
        execution=2,
        attempt=3,
        service="bank",
        command="Pay",
        command_version=1,
        message_id=f"{number:032x}",
        key=f"{number + 2**64:032x}",
        body=fields.pop("body", b'{"amount": 7}'),
        traceparent=TRACE,
        **fields,
    )


class Away:
    """A database that does not answer."""

    dialect: Any = "sqlite"

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Nobody is there."""
        raise ConnectionError("connection refused")
        yield  # type: ignore[unreachable]  # makes it a generator


class Flaky:
    """A database that comes back."""

    dialect: Any = "sqlite"

    def __init__(self, inner: Database, failures: int) -> None:
        self._inner = inner
        self._failures = failures

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Away for the first few calls."""
        if self._failures:
            self._failures -= 1
            raise ConnectionError("connection refused")
        async with self._inner.begin() as tx:
            yield tx


class Everywhere:
    """A database that never waits and remembers nothing: for counting handlers."""

    dialect: Any = "postgres"
    handle = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Always."""
        yield self

    async def execute(self, sql: str, *_arguments: object) -> list[tuple[object, ...]]:
        """Every key is free, every write takes place."""
        return [(1, 0, "token", *[None] * 10)] if sql.lstrip().startswith("--") else [("key",)]


def as_delivered(message: Outgoing) -> Delivery:
    return Delivery(
        QUEUE,
        message.exchange,
        message.routing_key,
        message.body,
        message.message_id,
        message.type,
        message.correlation_id,
        "",
        message.headers,
        "orchestrator",
        redelivered=False,
        token=1,
    )
