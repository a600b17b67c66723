"""Serving over a bus: what is answered, parked, acknowledged, given back, and how a process starts and stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from saga import wire
from saga.adapters.memory.bus import Fate, MemoryBroker, MemoryBus
from saga.adapters.sqlite.database import SqliteDatabase
from saga.contract import Command, Context, Effect, command
from saga.core.messages import CommandMessage, Kind, Outcome, ReplyEffect, ReplyMessage
from saga.core.topology import Topology, wanted_topology
from saga.core.topology import participant as participant_user
from saga.participant import Participant, Serving, run, serve_batch
from saga.ports import Database, Delivery, Outgoing, Sent, Transaction

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


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    """A service's database in memory."""
    opened = SqliteDatabase(":memory:", clock=Clock())
    await opened.migrate("bank")
    yield opened
    await opened.close()


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


async def test_a_command_is_answered_with_its_addresses(database: SqliteDatabase) -> None:
    """The reply echoes what the engine needs to find its step, from the service's own user, and takes the time."""
    till = Till(database)

    async def think(_ctx: Context) -> None:
        till.clock.seconds += 1.5

    till.during = think
    sent = pay()
    await till.send(wire.command_to_wire(sent))
    await till.serve()
    [reply] = await till.replies()
    assert reply == ReplyMessage(
        saga=sent.saga,
        path="pay",
        kind=Kind.ACTION,
        execution=2,
        attempt=3,
        key=sent.key,
        in_reply_to=sent.message_id,
        service="bank",
        outcome=Outcome.OK,
        effect=ReplyEffect.APPLIED,
        type="bank.Done.v1",
        body=b'{"amount":7}',
        handler_time=timedelta(seconds=1.5),
        sender="bank",
        traceparent=TRACE,
    )
    assert till.broker.ready_count(QUEUE) == 0


async def test_least_privilege_is_enough(database: SqliteDatabase) -> None:
    """With only the rights of a participant's user it can answer and park."""
    topology = wanted_topology(["bank"], [participant_user("bank")])
    till = Till(database, topology)
    good, bad = wire.command_to_wire(pay()), wire.command_to_wire(pay(2, body=b"{"))
    subscription = await till.bus.consume(QUEUE, 10)
    deliveries = [_delivered(message) for message in (good, bad)]
    published = await serve_batch(till.serving, till.bus, subscription, deliveries)
    assert (published.acked, published.released, published.problem) == (2, 0, "")


async def test_poison_is_parked_and_answered_where_it_can_be(database: SqliteDatabase) -> None:
    """A bad body is parked and refused; bad headers are parked; both are acknowledged."""
    till = Till(database)
    bad_body = wire.command_to_wire(pay(1, body=b'"\\u0000"'))
    bad_header = wire.command_to_wire(pay(2))
    bad_header = msgspec.structs.replace(bad_header, headers={**bad_header.headers, "saga-attempt": "many"})
    await till.send(bad_body, bad_header)
    await till.serve()
    [reply] = await till.replies()
    assert (reply.outcome, reply.code) == (Outcome.REFUSED, "invalid-payload")
    parked = [wire.parked_from_wire(delivery) for delivery in await till.take("saga.parking", 2)]
    assert {row.reason for row in parked} == {"nul", "bad-header"}
    assert {(row.origin, row.sender) for row in parked} == {(QUEUE, "orchestrator")}
    assert {row.body for row in parked} == {bad_body.body, bad_header.body}
    assert till.broker.ready_count(QUEUE) == 0
    assert till.runs == 0


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_unconfirmed_answer_is_sent_again(database: SqliteDatabase, arrived: bool) -> None:
    """The delivery comes back, and the inbox replays the answer: the effect is still one."""
    till = Till(database)
    await till.send(wire.command_to_wire(pay()))
    till.broker.fate = lambda _: Fate(copies=int(arrived), sent=Sent("unknown", "connection lost"))
    await till.serve()
    assert till.broker.ready_count(QUEUE) == 1
    till.broker.fate = None
    await till.serve()
    replies = await till.replies(1 + arrived)
    assert [reply.effect for reply in replies][-1] is ReplyEffect.REPLAYED
    assert till.runs == 1
    assert till.broker.ready_count(QUEUE) == 0


async def test_a_command_is_not_acknowledged_without_a_reply_queue(database: SqliteDatabase) -> None:
    """A returned answer reached nobody."""
    till = Till(database)
    await till.send(wire.command_to_wire(pay()))
    till.broker.delete_queue("saga.replies")
    await till.serve()
    assert till.broker.ready_count(QUEUE) == 1


async def test_without_its_database_nothing_is_answered() -> None:
    """The delivery goes back; nobody burns an attempt."""
    till = Till(Away())
    await till.send(wire.command_to_wire(pay()))
    await till.serve()
    assert till.broker.ready_count(QUEUE) == 1
    assert till.broker.ready_count("saga.replies") == 0


async def test_handlers_run_side_by_side_within_a_bound() -> None:
    """Never more at once than the participant allows, and as many as that."""
    now = most = 0
    till = Till(Everywhere(), concurrency=3)

    async def count(_ctx: Context) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    till.during = count
    await till.send(*(wire.command_to_wire(pay(number)) for number in range(1, 11)))
    await till.serve()
    assert (most, till.runs) == (3, 10)


def test_a_participant_with_effects_needs_a_database() -> None:
    """Said before the first command comes."""
    participant = Participant("bank", [Pay.handled_by(_never)])
    with pytest.raises(TypeError, match="--database"):
        Serving(participant, None, Clock(), "p")


# ------------------------------------------------------------------------------------------------------------ the loop


async def test_a_process_told_to_stop_finishes_what_it_began(database: SqliteDatabase) -> None:
    """The running handler ends, its answer is published and acknowledged; what was not begun stays in the queue."""
    till = Till(database, concurrency=1)
    stop, began, hold = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Context) -> None:
        began.set()
        await hold.wait()

    till.during = wait
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.send(wire.command_to_wire(pay()))
    await began.wait()
    stop.set()
    hold.set()
    await serving
    [reply] = await till.replies()
    assert reply.outcome is Outcome.OK
    await till.send(wire.command_to_wire(pay(2)))
    assert till.broker.ready_count(QUEUE) == 1


async def test_a_handler_that_outlasts_the_drain_is_cut(database: SqliteDatabase) -> None:
    """Its delivery goes back to the queue and its transaction is rolled back."""
    till = Till(database)
    stop, began = asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Context) -> None:
        began.set()
        await asyncio.Event().wait()

    till.during = wait
    await till.send(wire.command_to_wire(pay()))
    serving = asyncio.create_task(run(till.serving, till.bus, stop, drain=timedelta(0)))
    await began.wait()
    stop.set()
    await serving
    assert till.broker.ready_count(QUEUE) == 1
    async with database.begin() as tx:
        assert await tx.execute("select 1 from saga_inbox") == []


async def test_a_process_waits_for_its_queue(database: SqliteDatabase) -> None:
    """Started before the topology, it keeps trying, and stops when told to."""
    till = Till(database, topology=wanted_topology([]))
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.clock.slept.wait()
    till.broker.apply(wanted_topology(["bank"]))
    await till.send(wire.command_to_wire(pay()))
    [reply] = await till.replies()
    assert reply.outcome is Outcome.OK
    stop.set()
    await serving


async def test_a_process_that_never_found_its_queue_can_stop(database: SqliteDatabase) -> None:
    """Waiting is no reason to hang."""
    till = Till(database, topology=wanted_topology([]))
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.clock.slept.wait()
    stop.set()
    await serving


async def test_an_outage_of_the_database_is_waited_out(database: SqliteDatabase) -> None:
    """While it is away the command stays; when it is back the command is answered."""
    flaky = Flaky(database, failures=3)
    till = Till(flaky)
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.send(wire.command_to_wire(pay()))
    [reply] = await till.replies()
    assert reply.outcome is Outcome.OK
    assert till.clock.seconds > 0
    stop.set()
    await serving


async def test_a_lost_queue_is_waited_out(database: SqliteDatabase) -> None:
    """The queue is deleted and made again while the process runs: it goes on."""
    till = Till(database)
    stop = asyncio.Event()
    serving = asyncio.create_task(run(till.serving, till.bus, stop))
    await till.send(wire.command_to_wire(pay()))
    await till.replies()
    till.broker.delete_queue(QUEUE)
    await till.clock.slept.wait()
    till.broker.apply(wanted_topology(["bank"]))
    await till.send(wire.command_to_wire(pay(2)))
    [reply] = await till.replies()
    assert reply.in_reply_to == pay(2).message_id
    stop.set()
    await serving


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
        return [(1, 0, *[None] * 10)] if sql.lstrip().startswith("--") else [("key",)]


async def _never(_cmd: Pay, _ctx: Context) -> Done:
    raise AssertionError


def _delivered(message: Outgoing) -> Delivery:
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
