"""Policies on a real broker: set over HTTP, they keep what participants cannot digest."""

import asyncio
from collections.abc import Iterator

import aio_pika
import pytest

from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply
from saga.core.topology import DELIVERY_LIMIT, wanted_topology
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
        broker.eval(f'rabbit_plugins:ensure("{plugins}").')
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
    assert policies[QUEUE] == "saga"
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
