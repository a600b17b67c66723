"""Traps of aio-pika and aiormq that our adapter is built around. One that no longer holds is news: look what it allows.

Each test shows the library's behaviour; where our bus differs, it shows that too.
"""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import aiormq
import pytest
from aiormq.exceptions import DeliveryError
from pamqp import commands as spec

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.link import _TappedConnection
from saga.adapters.rabbitmq.topology import apply
from saga.core.topology import wanted_topology
from saga.ports import Outgoing
from tests.raw_amqp import MESSAGE_ID, publish_raw
from tests.servers import RabbitServer

QUEUE = "saga.commands.payments"
SOON_SECONDS = 10.0


@pytest.fixture
async def url(vhost: str) -> str:
    await apply(vhost, wanted_topology(["payments"]))
    return vhost


@pytest.fixture
async def plain(url: str) -> AsyncIterator[aiormq.Connection]:
    """A connection as the library makes it."""
    connection = await aiormq.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def bus(url: str) -> AsyncIterator[RabbitBus]:
    bus = await RabbitBus.open(url, name="traps")
    yield bus
    await bus.close()


def properties(message_id: str, user_id: str | None = None) -> spec.Basic.Properties:
    return spec.Basic.Properties(message_id=message_id, delivery_mode=2, user_id=user_id)


async def ignore(_: object) -> None:
    """A consumer."""


def message(number: int, key: str = "payments.A.v1") -> Outgoing:
    return Outgoing("saga.commands", key, b"{}", f"m-{number}", "payments.A.v1", {})


async def test_the_seam_is_still_there(url: str) -> None:
    """aio-pika hands its keyword arguments to aiormq, and aiormq opens its socket with our factory."""
    connection = await aio_pika.connect(url, connection_class=_TappedConnection)
    try:
        assert isinstance(connection, _TappedConnection)
        assert connection.factory.tap is not None
        assert connection.transport is not None
        channel = await connection.transport.connection.channel(publisher_confirms=False)
        assert isinstance(channel, aiormq.Channel)
        assert channel.number in channel.connection.channels
        assert channel.connection.connection_tune.frame_max >= 4_096
    finally:
        await connection.close()


async def test_an_unroutable_publish_returns_as_if_nothing_happened(url: str) -> None:
    """Without on_return_raises the library's publish gives back the returned message instead of raising."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        exchange = await channel.get_exchange("saga.commands", ensure=False)
        result = await exchange.publish(aio_pika.Message(b""), "nobody.A.v1", mandatory=True)
        assert isinstance(getattr(result, "delivery", None), spec.Basic.Return)


async def test_two_messages_with_one_id_in_flight_swap_their_outcomes(plain: aiormq.Connection, bus: RabbitBus) -> None:
    """The library reports the unroutable one delivered; our bus holds the second back and tells the truth."""
    channel = await plain.channel()
    lost, fine = await asyncio.gather(
        channel.basic_publish(
            b"", exchange="saga.commands", routing_key="nobody.A.v1", properties=properties("same"), mandatory=True
        ),
        channel.basic_publish(
            b"", exchange="saga.commands", routing_key="payments.A.v1", properties=properties("same"), mandatory=True
        ),
        return_exceptions=True,
    )
    assert isinstance(lost, spec.Basic.Ack), "the library would now be right about the unroutable one"
    assert isinstance(fine, DeliveryError)
    ours = [message(1, "nobody.A.v1"), message(1)]
    assert [sent.outcome for sent in await bus.publish(ours)] == ["returned", "confirmed"]


async def test_cancelling_a_publish_does_not_unsend_it(plain: aiormq.Connection) -> None:
    """A cancelled or timed-out publish is unknown, never `not sent`."""
    channel = await plain.channel()
    assert isinstance(channel, aiormq.Channel)
    publish = asyncio.create_task(
        channel.basic_publish(b"", exchange="saga.commands", routing_key="payments.A.v1", properties=properties("m"))
    )
    while not channel.confirmations:
        await asyncio.sleep(0)
    publish.cancel()
    await asyncio.gather(publish, return_exceptions=True)
    async with asyncio.timeout(SOON_SECONDS):
        while not (await channel.queue_declare(QUEUE, passive=True)).message_count:
            await asyncio.sleep(0.05)


async def test_process_drops_the_message_when_its_task_is_cancelled(url: str) -> None:
    """`message.process()` rejects without requeue on CancelledError: a SIGTERM would lose what is being worked on."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        exchange = await channel.get_exchange("saga.commands", ensure=False)
        await exchange.publish(aio_pika.Message(b""), "payments.A.v1")
        queue = await channel.get_queue(QUEUE)
        taken = await queue.get(timeout=SOON_SECONDS)
        assert taken is not None

        async def work() -> None:
            async with taken.process():
                await asyncio.sleep(60)

        working = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert await queue.get(fail=False) is None, "the library would now keep it"
        async with asyncio.timeout(SOON_SECONDS):  # here it went to the dead letters, elsewhere it would be gone
            dead = await channel.get_queue("saga.dead")
            while await dead.get(fail=False, no_ack=True) is None:
                await asyncio.sleep(0.05)


async def test_a_forged_user_closes_the_channel_with_every_confirm_on_it(plain: aiormq.Connection) -> None:
    """406 answers the forged message and takes its neighbours along; our bus writes the user itself."""
    channel = await plain.channel()
    results = await asyncio.gather(
        *(
            channel.basic_publish(
                b"",
                exchange="saga.commands",
                routing_key="payments.A.v1",
                properties=properties(f"m-{number}", "somebody" if number == 0 else None),
            )
            for number in range(5)
        ),
        return_exceptions=True,
    )
    assert all(isinstance(result, BaseException) for result in results)
    assert channel.is_closed


async def test_a_header_larger_than_a_frame_closes_the_connection(plain: aiormq.Connection, bus: RabbitBus) -> None:
    """The library sends it and everything on that connection is gone; our bus refuses it before it is written."""
    channel = await plain.channel()
    huge = spec.Basic.Properties(message_id="m", headers={"saga-message": "x" * 140_000})
    with pytest.raises((aiormq.AMQPError, asyncio.CancelledError)):
        await asyncio.wait_for(
            channel.basic_publish(b"", exchange="saga.commands", routing_key="payments.A.v1", properties=huge),
            SOON_SECONDS,
        )
    async with asyncio.timeout(SOON_SECONDS):
        while not plain.is_closed:
            await asyncio.sleep(0.05)
    ours = Outgoing("saga.commands", "payments.A.v1", b"", "m", "t", {"saga-message": "x" * 140_000})
    assert [sent.outcome for sent in await bus.publish([ours, message(1)])] == ["refused", "confirmed"]


async def test_a_property_that_is_no_text_kills_the_connection_that_receives_it(
    plain: aiormq.Connection, url: str
) -> None:
    """And the next one, for the broker delivers it again. So our transport reads deliveries before the library."""
    await publish_raw(url, MESSAGE_ID, b"\x02\xff\xfe")
    channel = await plain.channel()
    await channel.basic_consume(QUEUE, ignore)
    async with asyncio.timeout(SOON_SECONDS):
        while not plain.is_closed:
            await asyncio.sleep(0.05)


async def test_acking_up_to_a_settled_tag_closes_the_channel(plain: aiormq.Connection) -> None:
    """So a multiple ack must name a delivery that is still unsettled."""
    channel = await plain.channel()
    for number in range(2):
        await channel.basic_publish(
            b"", exchange="saga.commands", routing_key="payments.A.v1", properties=properties(f"m-{number}")
        )
    tags = [(await channel.basic_get(QUEUE)).delivery_tag for _ in range(2)]
    assert tags == [1, 2]
    await channel.basic_ack(2)
    await channel.basic_ack(2, multiple=True)
    with pytest.raises((aiormq.AMQPError, asyncio.CancelledError)):
        await channel.queue_declare(QUEUE, passive=True)


async def test_a_robust_consumer_on_an_undeclared_queue_is_not_restored(url: str, rabbit: RabbitServer) -> None:
    """`connect_robust` restores only consumers of queues it declared; the others stop without a word."""
    name = url.rsplit("/", 1)[1]
    connection = await aio_pika.connect_robust(url, reconnect_interval=0.2)
    try:
        channel = await connection.channel()
        reopened = asyncio.Event()
        channel.reopen_callbacks.add(lambda *_: reopened.set())
        queue = await channel.get_queue(QUEUE, ensure=False)
        await queue.consume(ignore, no_ack=True)
        await asyncio.to_thread(rabbit.ctl, "close_all_connections", "--vhost", name, "test")
        await asyncio.wait_for(reopened.wait(), SOON_SECONDS)
        async with await aio_pika.connect(url) as other, other.channel() as probe:
            found = await probe.declare_queue(QUEUE, passive=True)
            assert found.declaration_result.consumer_count == 0, "the library would now restore it"
    finally:
        await connection.close()
