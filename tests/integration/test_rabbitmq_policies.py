"""Policies on a real broker: set over HTTP, they keep what participants cannot digest."""

import asyncio
from collections.abc import Iterator

import aio_pika
import msgspec
import pytest

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply
from saga.core.topology import DELIVERY_LIMIT, POLICIES, wanted_topology
from saga.ports import Outgoing, Unavailable
from tests.servers import PrivateRabbit
from tests.servers.binaries import free_port

TOPOLOGY = wanted_topology(["payments"])
QUEUE = "saga.commands.payments"
SOON_SECONDS = 20.0


@pytest.fixture(scope="module")
def management() -> Iterator[tuple[PrivateRabbit, str]]:
    """A broker with its HTTP API."""
    port = free_port()
    with PrivateRabbit(config=f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}") as broker:
        plugins = broker.folder / "enabled_plugins"
        plugins.write_text("[rabbitmq_management].\n")
        broker.eval(f'rabbit:await_startup(), rabbit_plugins:ensure("{plugins}").')
        yield broker, f"http://guest:guest@127.0.0.1:{port}"


async def test_with_an_address_for_policies_queues_carry_no_arguments(management: tuple[PrivateRabbit, str]) -> None:
    """Nothing is left to do, and every setting can be changed later."""
    broker, address = management
    assert await apply(broker.url, TOPOLOGY, management_url=address) == []
    assert await apply(broker.url, TOPOLOGY, management_url=address) == []
    async with await aio_pika.connect(broker.url) as connection, connection.channel() as channel:
        again = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        assert again.name == QUEUE
    said = await asyncio.to_thread(broker.ctl, "list_queues", "name", "policy", "--no-table-headers")
    policies = dict(line.split() for line in said.splitlines())
    assert (policies[QUEUE], policies["saga.start"]) == ("saga-commands", "saga")
    assert policies["saga.dead"] == "saga-kept"


async def test_a_message_nobody_can_digest_is_dead_lettered_and_not_lost(
    management: tuple[PrivateRabbit, str],
) -> None:
    """After the delivery limit it waits in `saga.dead` with its origin."""
    broker, address = management
    await apply(broker.url, TOPOLOGY, management_url=address)
    bus = await RabbitBus.open(broker.url, name="test")
    try:
        sent = await bus.publish([Outgoing("saga.commands", "payments.A.v1", b"{}", "m", "t", {"saga-step": "a"})])
        assert sent[0].outcome == "confirmed"
        poisoned = await bus.consume(QUEUE, 10)
        dead = await bus.consume("saga.dead", 10)
        async with asyncio.timeout(SOON_SECONDS):
            for _ in range(DELIVERY_LIMIT + 1):
                await poisoned.settle([], released=await poisoned.receive())
            [letter] = await dead.receive()
        await dead.settle([letter])
        assert (letter.message_id, letter.headers["saga-step"]) == ("m", "a")
        assert letter.headers["x-first-death-queue"] == QUEUE
        assert letter.headers["x-first-death-exchange"] == "saga.commands"
    finally:
        await bus.close()


async def test_a_command_nobody_takes_for_days_is_dead_lettered(
    management: tuple[PrivateRabbit, str], vhost: str
) -> None:
    """By policy, and by the arguments of a queue that was made without: it waits in `saga.dead`, and nothing else ages.

    Here a day is a fraction of a second.
    """
    broker, address = management
    commands = POLICIES[0]
    soon = msgspec.structs.replace(commands, definition={**commands.definition, "message-ttl": 100})
    hasty = msgspec.structs.replace(TOPOLOGY, policies=(soon, *TOPOLOGY.policies[1:]))
    await apply(broker.url, hasty, management_url=address)
    await apply(vhost, hasty)
    for url in (broker.url, vhost):
        bus = await RabbitBus.open(url, name="test")
        try:
            dead = await bus.consume("saga.dead", 10)
            for exchange, key in (("saga.start", "order"), ("saga.commands", "payments.A.v1")):
                [sent] = await bus.publish([Outgoing(exchange, key, b"{}", f"to {exchange}", "t", {})])
                assert sent.outcome == "confirmed"
            async with asyncio.timeout(SOON_SECONDS):
                [letter] = await dead.receive()
            await dead.settle([letter])
            assert (letter.message_id, letter.headers["x-first-death-reason"]) == ("to saga.commands", "expired")
            starts = await bus.consume("saga.start", 10)
            [start] = await starts.receive()
            await starts.settle([start])
            assert start.message_id == "to saga.start"
        finally:
            await bus.close()
    await apply(broker.url, TOPOLOGY, management_url=address)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://guest:wrong@{place}", "401"),
        ("http://guest:guest@127.0.0.1:1", "refused"),
        ("amqp://guest:guest@{place}", "Fix: http://"),
    ],
)
async def test_a_policy_that_cannot_be_set_is_named(
    management: tuple[PrivateRabbit, str], address: str, said: str
) -> None:
    """The error says which policy, where, and what was answered; no queue is made without it."""
    broker, good = management
    place = good.rsplit("@")[1]
    with pytest.raises(Unavailable, match=said) as caught:
        await apply(broker.url, TOPOLOGY, management_url=address.format(place=place))
    assert "wrong@" not in str(caught.value)
