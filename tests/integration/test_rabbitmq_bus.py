"""What only a real broker shows of the RabbitMQ bus: hostile messages, lost connections, and what they may cost."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import pytest
from pamqp.common import FieldTable

from saga.adapters.rabbitmq import RabbitBus, consuming, publishing, watching
from saga.adapters.rabbitmq.topology import apply, missing
from saga.core.limits import BODY_BYTES_MAX
from saga.core.topology import Exchange, Queue, Topology, seen_by_participant, wanted_topology
from saga.ports import Delivery, MissingQueue, Outgoing, Subscription, Unavailable
from tests.proxy import FaultProxy, Mode
from tests.raw_amqp import HEADERS, MESSAGE_ID, TIMESTAMP, TYPE, publish_raw, table, text
from tests.servers import RabbitServer

QUEUE = "saga.commands.payments"
SOON_SECONDS = 10.0


@pytest.fixture
async def url(vhost: str) -> str:
    await apply(vhost, wanted_topology(["payments"]))
    return vhost


@pytest.fixture
async def bus(url: str) -> AsyncIterator[RabbitBus]:
    bus = await RabbitBus.open(url, name="test")
    yield bus
    await bus.close()


def command(number: int) -> Outgoing:
    return Outgoing("saga.commands", "payments.A.v1", b"{}", f"m-{number}", "payments.A.v1", {"saga-step": "a"})


async def receive(subscription: Subscription, count: int) -> list[Delivery]:
    got: list[Delivery] = []
    async with asyncio.timeout(SOON_SECONDS):
        while len(got) < count:
            try:
                batch = await subscription.receive()
            except Unavailable:
                continue
            got += batch
            await subscription.settle(batch)
    return got


async def confirmed(bus: RabbitBus, number: int) -> None:
    """Publish until the broker has it."""
    async with asyncio.timeout(SOON_SECONDS):
        while (await bus.publish([command(number)]))[0].outcome != "confirmed":
            await asyncio.sleep(0.05)


HOSTILE = {
    "an id that is no UTF-8": (MESSAGE_ID, b"\x02\xff\xfe", b"", "message_id"),
    "a date beyond the calendar": (TIMESTAMP, b"\xff" * 8, b"", ""),
    "a header that is a number": (HEADERS, table(b"\x09saga-stepI\0\0\0\7"), b"", "saga-step"),
    "a header that is a table": (HEADERS, table(b"\x09saga-stepF" + table(text(b"a", b"b"))), b"", "saga-step"),
    "a header that is no UTF-8": (HEADERS, table(text(b"saga-step", b"\xff")), b"", "saga-step"),
    "a header twice": (HEADERS, table(text(b"saga-step", b"a"), text(b"saga-step", b"b")), b"", "twice"),
    "headers of 120 kB": (HEADERS, table(text(b"saga-message", b"x" * 120_000)), b"", "limit"),
    "strange headers of others": (HEADERS, table(b"\x01aD\0\0\0\0\1", b"\x01bV", b"\x01cT" + b"\xff" * 8), b"", ""),
    "a body of 10 MB": (TYPE, b"\x01t", b"x" * 10_000_000, "10000000"),
    "no property at all": (0, b"", b"", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_message_is_one_delivery_with_its_defects(bus: RabbitBus, url: str, name: str) -> None:
    """Whatever a sender wrote, it arrives once, can be settled, and costs neither the connection nor its neighbours."""
    flags, properties, body, defect = HOSTILE[name]
    subscription = await bus.consume(QUEUE, 10)
    await publish_raw(url, flags, properties, body)
    await confirmed(bus, 1)
    hostile, neighbour = await receive(subscription, 2)
    assert any(defect in one for one in hostile.defects) if defect else not hostile.defects
    assert len(hostile.body) <= BODY_BYTES_MAX
    assert (neighbour.message_id, neighbour.defects) == ("m-1", ())
    assert not neighbour.redelivered, "the connection was lost on the way"
    assert await ready_count(url) == 0


async def test_a_routing_key_that_is_no_text_is_a_defect(bus: RabbitBus, url: str) -> None:
    """Keys are bytes to the broker."""
    subscription = await bus.consume(QUEUE, 10)
    await publish_raw(url, TYPE, b"\x01t", key=b"payments.\xff\xfe")
    [got] = await receive(subscription, 1)
    assert "routing key" in got.defects[0]


async def ready_count(url: str) -> int:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        return (await channel.declare_queue(QUEUE, passive=True)).declaration_result.message_count or 0


async def test_after_a_forced_close_consumers_and_publishing_resume(
    bus: RabbitBus, url: str, rabbit: RabbitServer
) -> None:
    """Both connections come back by themselves, with their consumers, and nothing unsettled is lost."""
    subscription = await bus.consume(QUEUE, 10)
    await confirmed(bus, 1)
    [stale] = await subscription.receive()
    vhost = url.rsplit("/", 1)[1]
    await asyncio.to_thread(rabbit.ctl, "close_all_connections", "--vhost", vhost, "test")
    await confirmed(bus, 2)
    again = await receive(subscription, 2)
    assert sorted(one.message_id for one in again) == ["m-1", "m-2"]
    assert min(one.token for one in again) > stale.token
    await subscription.settle([stale])  # of the lost channel: ignored
    await confirmed(bus, 3)
    assert [one.message_id for one in await receive(subscription, 1)] == ["m-3"]


async def test_a_confirm_that_is_lost_leaves_the_message_unknown(url: str, rabbit: RabbitServer) -> None:
    """The broker has the message, its confirm vanishes: unknown within the deadline, and sending again is possible."""
    host, port = rabbit.url.rsplit("@")[1].rstrip("/").split(":")
    async with FaultProxy(host, int(port)) as proxy:
        bus = await RabbitBus.open(proxy.url(url), name="test", publish_seconds=1.0)
        await confirmed(bus, 1)
        proxy.mode = Mode.DROP_TO_CLIENT
        sent = await bus.publish([command(2)])
        assert sent[0].outcome == "unknown"
        assert "1 s" in sent[0].detail
        proxy.mode = Mode.PASS
        proxy.reset()
        await confirmed(bus, 2)
        await bus.close()
    assert await ready_count(url) == 3


async def test_a_connection_lost_with_messages_on_the_wire_makes_them_unknown_at_once(
    url: str, rabbit: RabbitServer
) -> None:
    """Nobody waits for the deadline when the answer can no longer come."""
    host, port = rabbit.url.rsplit("@")[1].rstrip("/").split(":")
    async with FaultProxy(host, int(port)) as proxy:
        bus = await RabbitBus.open(proxy.url(url), name="test")
        await confirmed(bus, 1)
        proxy.mode = Mode.DROP_TO_CLIENT
        publishing = asyncio.create_task(bus.publish([command(2)]))
        await asyncio.sleep(0.2)
        proxy.mode = Mode.PASS
        proxy.reset()
        sent = await asyncio.wait_for(publishing, 2.0)
        assert sent[0].outcome == "unknown"
        await bus.close()


async def test_a_cancelled_publish_leaves_the_bus_in_order(bus: RabbitBus) -> None:
    """Its caller is gone, its id is freed by the late confirm, and the next publish is none the worse."""
    publishing = asyncio.create_task(bus.publish([command(n) for n in range(50)]))
    await asyncio.sleep(0)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    sent = await bus.publish([command(n) for n in range(50)])
    assert {one.outcome for one in sent} == {"confirmed"}


async def test_a_queue_that_is_full_and_refuses_makes_the_message_unknown(bus: RabbitBus, url: str) -> None:
    """A nack is no promise that nothing arrived, so it counts as unknown and says what happened."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        arguments: FieldTable = {"x-queue-type": "quorum", "x-max-length": 2, "x-overflow": "reject-publish"}
        full = await channel.declare_queue("saga.commands.full", durable=True, arguments=arguments)
        await full.bind("saga.commands", "full.#")
    sent = [(await bus.publish([Outgoing("saga.commands", "full.A.v1", b"", f"f-{n}", "t", {})]))[0] for n in range(10)]
    assert sent[0].outcome == "confirmed"
    assert sent[-1].outcome == "unknown"
    assert "nack" in sent[-1].detail


async def test_a_consumer_the_broker_forgot_is_noticed_and_restored(
    bus: RabbitBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even without a word from the broker: a queue with messages and no delivery to us is looked at."""
    monkeypatch.setattr(watching, "PROBE_SECONDS", 0.2)
    subscription = await bus.consume(QUEUE, 10)
    assert isinstance(subscription, consuming.RabbitSubscription)
    assert subscription._channel is not None
    await subscription._channel.basic_cancel(f"saga.{QUEUE}")  # behind its back
    await confirmed(bus, 1)
    assert [one.message_id for one in await receive(subscription, 1)] == ["m-1"]


async def test_a_channel_whose_confirms_stay_away_is_replaced(bus: RabbitBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or an id whose confirm was lost inside the broker could never be sent again."""
    await confirmed(bus, 1)
    channel = bus._publisher._channel
    assert channel is not None
    monkeypatch.setattr(publishing, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr(channel, "_confirm", lambda *_: None)
    bus._publisher._deadline_seconds = 0.3
    assert [sent.outcome for sent in await bus.publish([command(2)])] == ["unknown"]
    assert [sent.outcome for sent in await bus.publish([command(2)])] == ["unknown"]  # held back
    await asyncio.sleep(0.1)
    bus._publisher._deadline_seconds = SOON_SECONDS
    assert [sent.outcome for sent in await bus.publish([command(2)])] == ["confirmed"]
    assert bus._publisher._channel is not channel


@pytest.mark.parametrize("url", ["localhost:5672", "http://localhost", "amqp://"])
async def test_an_address_that_can_never_work_is_the_operators_mistake(url: str) -> None:
    """Waiting would not help, so it is no Unavailable."""
    with pytest.raises(ValueError, match="Fix: amqp://"):
        await RabbitBus.open(url, name="test")


async def test_a_login_that_is_refused_names_the_place_and_the_fix(url: str) -> None:
    """The error does not show the password."""
    with pytest.raises(Unavailable, match="Fix: check user, password and vhost") as caught:
        await RabbitBus.open(url.replace("guest:guest", "guest:wr0ng"), name="test")
    assert "wr0ng" not in str(caught.value)


async def test_a_broker_that_is_not_there_is_unavailable() -> None:
    """Opening fails at once instead of waiting for it."""
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await RabbitBus.open("amqp://guest:guest@127.0.0.1:1/", name="test")


# ------------------------------------------------------------------------------------------------------------ topology


async def test_apply_makes_what_is_missing_and_can_be_repeated(vhost: str) -> None:
    """Afterwards nothing is missing; the policies it cannot set are returned as commands."""
    topology = wanted_topology(["payments", "shipping"])
    assert "queue saga.commands.payments" in await missing(vhost, topology)
    left = await apply(vhost, topology)
    assert await missing(vhost, topology) == []
    assert len(left) == len(topology.policies)
    assert all(command.startswith("rabbitmqctl set_policy") for command in left)
    assert await apply(vhost, topology) == left


async def test_missing_names_exactly_what_is_not_there(url: str) -> None:
    """A check that fails closes only its own channel."""
    asked = Topology(
        exchanges=(Exchange("saga.nothing"), Exchange("saga.start")),
        queues=(Queue("saga.commands.nobody"), Queue(QUEUE), Queue("saga.commands.none")),
    )
    assert await missing(url, asked) == [
        "exchange saga.nothing",
        "queue saga.commands.nobody",
        "queue saga.commands.none",
    ]
    assert await missing(url, seen_by_participant("payments")) == []


async def test_a_poison_message_ends_among_the_dead_letters_without_any_policy(url: str, bus: RabbitBus) -> None:
    """What `apply` makes over AMQP alone is safe: after the delivery limit a message is kept, with where it was."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        arguments: FieldTable = {"x-queue-type": "quorum", "x-delivery-limit": 2, "x-dead-letter-exchange": "saga.dead"}
        poison = await channel.declare_queue("saga.commands.poison", durable=True, arguments=arguments)
        await poison.bind("saga.commands", "poison.#")
    await bus.publish([Outgoing("saga.commands", "poison.A.v1", b"{}", "m-poison", "t", {"saga-step": "a"})])
    subscription = await bus.consume("saga.commands.poison", 1)
    for _ in range(3):
        await subscription.settle([], released=await asyncio.wait_for(subscription.receive(), SOON_SECONDS))
    [dead] = await receive(await bus.consume("saga.dead", 10), 1)
    assert (dead.message_id, dead.routing_key, dead.sender) == ("m-poison", "poison.A.v1", "guest")
    assert dead.headers["saga-step"] == "a"
    assert dead.headers["x-first-death-queue"] == "saga.commands.poison"
    assert dead.headers["x-first-death-exchange"] == "saga.commands"


async def test_the_subscription_of_a_queue_that_never_was_raises_when_opened(bus: RabbitBus) -> None:
    """And the bus goes on."""
    with pytest.raises(MissingQueue):
        await bus.consume("saga.commands.nobody", 10)
    subscription = await bus.consume(QUEUE, 10)
    await confirmed(bus, 1)
    assert len(await receive(subscription, 1)) == 1
