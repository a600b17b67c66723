"""From a person's approval to the next command: through the broker, heard by a bare AMQP client."""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence

import aiormq
import msgspec
from aiormq import spec
from aiormq.abc import DeliveredMessage

from saga.adapters.rabbitmq import RabbitBus
from saga.client import Client
from saga.client.reading import Approvals
from saga.core.pending import ApprovalDetail
from saga.core.topology import command_queue
from saga.ports import Store
from saga.stores import IDS
from tests.bench.figures import percentile_ms
from tests.bench.waiting.contracts import LETTERS

APPROVER = "bo"
SOON_SECONDS = 60.0
WARM_UP = 10


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """From publishing the decision to the arrival of the command it allows."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float


class Listener:
    """A bare client on the queue of the letters: when each saga's command came."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Future[float]] = {}

    async def listen(self, url: str) -> aiormq.abc.AbstractConnection:
        """Consume until the connection is closed."""
        connection = await aiormq.connect(url)
        channel = await connection.channel()
        await channel.basic_qos(prefetch_count=100)
        await channel.basic_consume(command_queue(LETTERS), self._hear)
        return connection

    def expect(self, saga: str) -> "asyncio.Future[float]":
        """The moment in which its next command comes."""
        return self._awaited.setdefault(saga, asyncio.get_running_loop().create_future())

    async def _hear(self, message: DeliveredMessage) -> None:
        came = time.monotonic()
        awaited = self._awaited.get(str(message.header.properties.correlation_id))
        if awaited is not None and not awaited.done():
            awaited.set_result(came)
        assert isinstance(message.delivery, spec.Basic.Deliver), message.delivery
        await message.channel.basic_ack(message.delivery.delivery_tag or 0)


async def some_waiting(store: Store, prefixes: Sequence[str], numbers: range, count: int) -> list[ApprovalDetail]:
    """Requests all over the store, by the keys with which it was filled."""
    chance, looked = random.Random(1), Approvals(store)
    drawn = chance.sample([(prefix, number) for prefix in prefixes for number in numbers], count)
    known = await store.find([("letter", f"k:{prefix}-{number}") for prefix, number in drawn])
    found = [await looked.find(each.saga, "review") for each in known.values()]
    asked = [each for each in found if each is not None and each.state == "open"]
    assert len(asked) == count, f"{len(asked)} of {count} letters wait for their approval"
    return asked


async def approve_some(asked: Sequence[ApprovalDetail], desk_url: str, letters_url: str) -> Approved:
    """Approve one after the other; the first few are not counted. Raises TimeoutError when a command does not come."""
    bus = await RabbitBus.open(desk_url, name="bench desk")
    client, listener = Client(bus, IDS, name="bench"), Listener()
    connection = await listener.listen(letters_url)
    try:
        seconds = [await _approve(client, listener, each) for each in asked][WARM_UP:]
    finally:
        await connection.close()
        await client.close()
        await bus.close()
    return Approved(
        count=len(seconds),
        p50_ms=percentile_ms(seconds, 50),
        p99_ms=percentile_ms(seconds, 99),
        max_ms=round(max(seconds) * 1_000, 1),
        mean_ms=round(statistics.mean(seconds) * 1_000, 1),
    )


async def _approve(client: Client, listener: Listener, asked: ApprovalDetail) -> float:
    came = listener.expect(asked.saga)
    begun = time.monotonic()
    await client.approve(asked.saga, asked.path, digest=asked.digest, approver=APPROVER)
    async with asyncio.timeout(SOON_SECONDS):
        return await came - begun
