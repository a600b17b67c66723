"""The gremlin duplicates, delays and loses messages, and leaves their bytes and senders as they were."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from tests.acceptance.gremlin import Gremlin, Mischief
from tests.integration.acceptance.wire_topology import declare
from tests.servers import RabbitServer

MESSAGES_COUNT = 60


@pytest.fixture
def impersonator(rabbit: RabbitServer, vhost: str, unique_name: str) -> Iterator[str]:
    """The address of a user who may publish in the name of others."""
    parts = urlsplit(vhost)
    rabbit.ctl("add_user", unique_name, "secret")
    rabbit.ctl("set_user_tags", unique_name, "impersonator")
    rabbit.ctl("set_permissions", "-p", parts.path.removeprefix("/"), unique_name, ".*", ".*", ".*")
    yield urlunsplit((parts.scheme, f"{unique_name}:secret@{parts.hostname}:{parts.port}", parts.path, "", ""))
    rabbit.ctl("delete_user", unique_name)


@asynccontextmanager
async def loose(url: str, mischief: Mischief) -> AsyncIterator[Gremlin]:
    """A gremlin at work."""
    gremlin = Gremlin(url, mischief)
    running = asyncio.ensure_future(gremlin.run())
    try:
        await gremlin.ready.wait()
        yield gremlin
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


class Owner:
    """Publishes replies and hears them, as an engine does."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        self.senders: set[str | None] = set()
        self.news = asyncio.Event()

    async def hear(self, message: AbstractIncomingMessage) -> None:
        await message.ack()
        self.heard[message.body.decode()] += 1
        self.senders.add(message.user_id)
        self.news.set()

    async def until_heard(self, count: int) -> None:
        while sum(self.heard.values()) < count:
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 10)


@pytest.fixture
async def channel(vhost: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """The real topology, seen by its owner."""
    connection = await aio_pika.connect(vhost)
    async with connection:
        made = await connection.channel()
        await declare(made, "payments")
        yield made


async def reply(channel: aio_pika.abc.AbstractChannel, count: int, service: str = "payments") -> None:
    exchange = await channel.get_exchange("saga.replies", ensure=False)
    headers: aio_pika.abc.HeadersType = {"saga-outcome": "ok", "saga-effect": "replayed"}
    for number in range(count):
        message = aio_pika.Message(f"reply-{number}".encode(), user_id="guest", headers=headers)
        await exchange.publish(message, f"{service}.ok")


async def test_duplicates_come_in_the_name_of_their_sender(
    channel: aio_pika.abc.AbstractChannel, impersonator: str
) -> None:
    """Every message comes twice and no more, the second under the same `user_id`; what went by is counted."""
    owner = Owner()
    mischief = Mischief(duplicate_rate=1, delay_seconds_max=0.1)
    async with loose(impersonator, mischief) as gremlin:
        await (await channel.get_queue("saga.replies", ensure=False)).consume(owner.hear)
        await reply(channel, MESSAGES_COUNT)
        await owner.until_heard(2 * MESSAGES_COUNT)
    assert set(owner.heard.values()) == {2}
    assert owner.senders == {"guest"}
    assert gremlin.counts["replays"] == gremlin.counts["replies ok"] == MESSAGES_COUNT
    assert gremlin.counts["duplicated"] == MESSAGES_COUNT


async def test_what_is_stolen_is_lost_or_late(channel: aio_pika.abc.AbstractChannel, impersonator: str) -> None:
    """Beside the owner of a queue it gets some of the messages: each of them is heard once or never."""
    owner = Owner()
    await channel.set_qos(1)
    mischief = Mischief(duplicate_rate=0, lose_rate=0.5, delay_seconds_max=0.1, steal_from=("saga.replies",), seed=1)
    async with loose(impersonator, mischief) as gremlin:
        await (await channel.get_queue("saga.replies", ensure=False)).consume(owner.hear)
        await reply(channel, MESSAGES_COUNT)
        while gremlin.counts["lost"] + sum(owner.heard.values()) < MESSAGES_COUNT:
            await asyncio.wait_for(asyncio.sleep(0.05), 10)
    assert gremlin.counts["lost"] > 0
    assert gremlin.counts["delayed"] > 0
    assert set(owner.heard.values()) == {1}


async def test_some_services_lose_nothing(channel: aio_pika.abc.AbstractChannel, impersonator: str) -> None:
    """Where a loss could not be told from a doubt, messages are late at worst."""
    owner = Owner()
    mischief = Mischief(duplicate_rate=0, lose_rate=1, delay_seconds_max=0.1, steal_from=("saga.replies",))
    async with loose(impersonator, mischief) as gremlin:
        await (await channel.get_queue("saga.replies", ensure=False)).consume(owner.hear)
        await reply(channel, MESSAGES_COUNT, service="notifications")
        await owner.until_heard(MESSAGES_COUNT)
    assert gremlin.counts["lost"] == 0


async def test_it_waits_for_a_broker_without_topology(vhost: str, impersonator: str) -> None:
    """Where the exchanges are missing, as after a wipe, it comes back when they are there."""
    gremlin = Gremlin(impersonator, Mischief(duplicate_rate=1, delay_seconds_max=0))
    running = asyncio.ensure_future(gremlin.run())
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(gremlin.ready.wait(), 1)
    assert not gremlin.ready.is_set()
    async with await aio_pika.connect(vhost) as connection:
        await declare(await connection.channel())
        await asyncio.wait_for(gremlin.ready.wait(), 10)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
