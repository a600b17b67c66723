"""Hostile messages, written as any client may write them, and the scene they come into."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiormq
import msgspec
from aiormq import spec

from saga import wire
from saga.adapters.sqlite.database import SqliteDatabase
from saga.adapters.system import SystemClock, SystemIds
from saga.client import Client
from saga.core.expression import Object, Ref, ScalarType
from saga.core.messages import CommandMessage, ResultMessage
from saga.core.plan import Plan
from saga.core.topology import command_queue
from saga.participant import Participant, Serving, run
from saga.ports import Outgoing, ParkedMessage, SagaFilter, SagaRow, Store, Subscription
from tests.builders import INPUT_ID, plan, template
from tests.conformance.inbox.bank import World
from tests.integration.orders_place import (
    BROKER_USER,
    READ_QUEUES,
    SERVICES,
    SOON,
    SOON_SECONDS,
    Place,
    RunProcess,
    order,
    trusted,
)
from tests.raw_amqp import publish_raw
from tests.servers import PostgresServer, RabbitServer

IDS = SystemIds()
TEN_MEGABYTES = b'{"id":"' + b"x" * 10_000_000 + b'"}'
NOBODY = "01930000-0000-7000-8000-00000000ffff"
ADDRESS = "guest.hostile"
ASKED = "ask-service"
"""Served by nobody: its commands are answered by the tests, honestly or not."""
VICTIM = plan(trusted("ask"), trusted("charge"), name="victim")
READING = plan(
    trusted("ask"),
    msgspec.structs.replace(
        trusted("charge"),
        command=template(
            "charge-service",
            "Charge",
            senders=BROKER_USER,
            body=Object({"order": INPUT_ID, "ref": Ref("ask", ("ref",), ScalarType.STR)}),
        ),
    ),
    name="reading",
    reads={"input.id": "str", "ask.ref": "str"},
)


@asynccontextmanager
async def bank(place: Place) -> AsyncIterator[None]:
    """A participant of this library, over a database in memory."""
    world, database, stop = World(), SqliteDatabase(":memory:", clock=SystemClock()), asyncio.Event()
    await database.migrate("bank")
    async with database.begin() as tx:
        await tx.execute("create table effects (idempotency_key text not null)")
    async with place.bus("bank") as bus:
        serving = Serving(Participant("bank", world.handlers()), database, SystemClock(), "bank")
        work = asyncio.create_task(run(serving, bus, stop))
        try:
            yield
        finally:
            stop.set()
            await work
            await database.close()


class Letter(msgspec.Struct, frozen=True):
    """A message as any client may write it: no library of ours looks at it first."""

    exchange: str
    key: str
    body: bytes
    headers: Mapping[str, object]
    message_id: str | None
    type: str | None
    correlation_id: str | None = None
    reply_to: str | None = None
    user_id: str | None = "guest"

    def but(self, **changes: object) -> "Letter":
        """The same with other fields."""
        return msgspec.structs.replace(self, **changes)

    def with_headers(self, **headers: object) -> "Letter":
        """The same with further headers; `saga_key` is `saga-key`."""
        return self.but(headers={**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}})


def letter(message: Outgoing) -> Letter:
    """What our library would write."""
    return Letter(
        message.exchange,
        message.routing_key,
        message.body,
        message.headers,
        message.message_id,
        message.type,
        message.correlation_id or None,
        message.reply_to or None,
    )


class Scene:
    """A place with an orchestrator process, services, a participant, honest callers, and a bare client."""

    def __init__(self, place: Place, process: RunProcess, store: Store, caller: Client, ear: "Ear") -> None:
        self.place = place
        self.process = process
        self.store = store
        self.caller = caller
        self.ear = ear

    async def send(self, *letters: Letter) -> None:
        """Publish with a bare client, confirmed by the broker."""
        connection = await aiormq.connect(self.place.amqp)
        try:
            channel = await connection.channel()
            for each in letters:
                properties = _properties(each)
                if each.message_id is None:  # the client library would make one up
                    marshalled = properties.marshal()
                    flags, values = int.from_bytes(marshalled[:2]), marshalled[2:]
                    key, exchange = each.key.encode(), each.exchange.encode()
                    await publish_raw(self.place.amqp, flags, values, each.body, key, exchange=exchange)
                    continue
                await channel.basic_publish(
                    each.body, exchange=each.exchange, routing_key=each.key, properties=properties, mandatory=True
                )
        finally:
            await connection.close()

    async def parked(self) -> list[ParkedMessage]:
        """Oldest first."""
        return [row.message for row in await self.store.parked(limit=1_000)][::-1]

    async def parked_after(self, before: int, count: int = 1) -> list[ParkedMessage]:
        """Wait for so many more parked messages."""
        async with asyncio.timeout(SOON_SECONDS):
            while len(found := (await self.parked())[before:]) < count:
                await asyncio.sleep(0.02)
        return found

    async def row(self, saga: str) -> SagaRow:
        """One saga."""
        [row] = await self.store.sagas(SagaFilter(ids=(saga,)))
        return row

    async def command(self) -> CommandMessage:
        """The command that waits for the service that nobody serves."""
        async with self.place.bus("thief") as bus:
            subscription = await bus.consume(command_queue(ASKED), 1)
            async with asyncio.timeout(SOON_SECONDS):
                [delivery] = await subscription.receive()
            await subscription.settle([delivery])
        return wire.command_from_wire(delivery)

    async def healthy(self) -> None:
        """An order sent now completes, and no queue keeps anything."""
        ended = await self.caller.run("order", order(IDS.message()), within=SOON)
        assert ended.status == "completed"
        await self.place.emptied(*READ_QUEUES, *map(command_queue, (*SERVICES, ASKED, "bank")))


def _properties(each: Letter) -> spec.Basic.Properties:
    return spec.Basic.Properties(
        delivery_mode=2,
        headers=dict(each.headers),  # type: ignore[arg-type]  # whatever a client may write
        message_id=each.message_id,
        message_type=each.type,
        correlation_id=each.correlation_id,
        reply_to=each.reply_to,
        user_id=each.user_id,
    )


class Ear:
    """A caller's own queue."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def answer_to(self, message_id: str) -> ResultMessage:
        """The answer to a message."""
        async with asyncio.timeout(SOON_SECONDS):
            while True:
                deliveries = await self._subscription.receive()
                await self._subscription.settle(deliveries)
                for answer in map(wire.result_from_wire, deliveries):
                    if answer.in_reply_to == message_id:
                        return answer


@asynccontextmanager
async def staged(postgres: PostgresServer, rabbit: RabbitServer, folder: Path, *plans: Plan) -> AsyncIterator[Scene]:
    """The scene over a database and a vhost of its own. At the end the process must have lived through all of it."""
    name, vhost = f"hostile_{IDS.message()[:8]}", rabbit.fresh_vhost()
    place = Place(postgres.create_database(name), rabbit.url_of(vhost))
    await place.prepare([*SERVICES, ASKED, "bank"])
    await place.publish(VICTIM, READING, *plans)
    process = RunProcess(place, folder)
    try:
        await process.ready()
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            await enter(place.serving())
            await enter(bank(place))
            bus = await enter(place.bus("hostile"))
            place.counter = bus
            queue, address = await bus.declare_results("hostile")
            assert address == ADDRESS
            ear = Ear(await bus.consume(queue, 1_000))
            yield Scene(place, process, await enter(place.store()), await enter(place.calling("honest")), ear)
        assert process.process.running
        assert "Traceback" not in process.log
    finally:
        process.process.kill9()
        postgres.drop_database(name)
        rabbit.release_vhost(vhost)


# --------------------------------------------------------------------------------------- what is wrong with any message

Spoil = Callable[[Letter], Letter]

BODIES: dict[str, tuple[Spoil, str]] = {
    "not JSON": (lambda each: each.but(body=b'{"id":'), "not-json"),
    "empty": (lambda each: each.but(body=b""), "not-json"),
    "two values": (lambda each: each.but(body=b"{} {}"), "not-json"),
    "100,000 deep": (lambda each: each.but(body=b"[" * 100_000), "too-deep"),
    "100,000 deep and well formed": (lambda each: each.but(body=b"[" * 100_000 + b"]" * 100_000), "too-deep"),
    "NUL escaped": (lambda each: each.but(body=b'{"id":"a\\u0000b"}'), "nul"),
    "NUL": (lambda each: each.but(body=b'{"id":"a\0b"}'), "nul"),
    "bad UTF-8": (lambda each: each.but(body=b'{"id":"\xff\xfe"}'), "bad-utf8"),
    "a lone surrogate": (lambda each: each.but(body=b'{"id":"\\ud800"}'), "not-json"),
    "10 MB": (lambda each: each.but(body=TEN_MEGABYTES), "too-large"),
}
HEADERS: dict[str, tuple[Spoil, str]] = {
    "type disagrees": (lambda each: each.but(type="else.Else.v1"), "header-disagrees-with-routing-key"),
    "NUL in a header": (lambda each: each.with_headers(saga_key="a\0b"), "nul"),
    "NUL in a property": (lambda each: each.but(type="a\0b"), "nul"),
    "a number for a header": (lambda each: each.with_headers(saga_key=7), "bad-header"),
    "a table for a header": (lambda each: each.with_headers(saga_key={"a": "b"}), "bad-header"),
    "20 kB of headers": (lambda each: each.with_headers(saga_key="x" * 20_000), "header-too-large"),
    "a key without end": (lambda each: each.with_headers(saga_key="x" * 300), "bad-header"),
}
