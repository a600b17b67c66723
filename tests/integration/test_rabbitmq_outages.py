"""A broker of our own is stopped, killed, frozen, starved of memory and wiped: the bus survives all of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from saga.adapters.rabbitmq import RabbitBus, link
from saga.adapters.rabbitmq.topology import apply
from saga.core.definitions_file import definitions_file, password_hash
from saga.core.topology import User, wanted_topology
from saga.ports import Delivery, MissingQueue, Outgoing, Subscription, Unavailable
from tests.servers import PrivateRabbit

QUEUE = "saga.commands.payments"
RECOVERY_SECONDS = 30.0
TOPOLOGY = wanted_topology(["payments"], [User("guest", ".*", ".*", ".*", tags=("administrator",))])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """Comes back with its queues even after a wipe, because it loads the definitions file at each start."""
    path: Path = tmp_path_factory.mktemp("broker") / "definitions.json"
    path.write_bytes(definitions_file(TOPOLOGY, vhost="/", password_hashes={"guest": password_hash("guest", b"salt")}))
    with PrivateRabbit(definitions=path) as broker:
        broker.keep_declarations()
        yield broker


@pytest.fixture
async def bus(broker: PrivateRabbit) -> AsyncIterator[RabbitBus]:
    await apply(broker.url, TOPOLOGY)
    bus = await RabbitBus.open(broker.url, name="outages", publish_seconds=2.0)
    yield bus
    await bus.close()


@pytest.fixture
async def subscription(bus: RabbitBus) -> AsyncIterator[Subscription]:
    """Of an empty queue."""
    subscription = await bus.consume(QUEUE, 50)
    while True:
        try:
            async with asyncio.timeout(0.3):
                await subscription.settle(await subscription.receive())
        except TimeoutError:
            break
    yield subscription
    await subscription.close()


def command(number: int, body: bytes = b"{}") -> Outgoing:
    return Outgoing("saga.commands", "payments.A.v1", body, f"m-{number}", "payments.A.v1", {"saga-step": "a"})


async def confirmed(bus: RabbitBus, number: int) -> None:
    async with asyncio.timeout(RECOVERY_SECONDS):
        while (await bus.publish([command(number)]))[0].outcome != "confirmed":
            await asyncio.sleep(0.05)


async def receive(subscription: Subscription, wanted: set[str]) -> list[Delivery]:
    """Receive and settle until all of these have come; the broker's absence is waited out."""
    got: list[Delivery] = []
    async with asyncio.timeout(RECOVERY_SECONDS):
        while not wanted <= {delivery.message_id for delivery in got}:
            try:
                batch = await subscription.receive()
            except Unavailable:
                continue
            got += batch
            await subscription.settle(batch)
    return got


async def receive_until_it_raises(subscription: Subscription) -> None:
    async with asyncio.timeout(RECOVERY_SECONDS):
        while True:
            await subscription.settle(await subscription.receive())


async def test_a_broker_that_stops_and_starts_is_waited_for(
    broker: PrivateRabbit, bus: RabbitBus, subscription: Subscription, caplog: pytest.LogCaptureFixture
) -> None:
    """Confirmed messages survive, publishing and consuming resume by themselves, and the log stays short."""
    caplog.set_level(logging.INFO)
    await confirmed(bus, 1)
    await asyncio.to_thread(broker.stop)
    with pytest.raises(Unavailable):
        await receive_until_it_raises(subscription)
    sent = await bus.publish([command(2)])
    assert sent[0].outcome == "unknown"
    assert bus.connected is False
    await asyncio.to_thread(broker.start)
    await confirmed(bus, 3)
    await receive(subscription, {"m-3"})
    connected_again: bool = bus.connected
    assert connected_again
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(loud) < 20, [record.getMessage() for record in loud]


async def test_a_killed_broker_keeps_what_it_confirmed(
    broker: PrivateRabbit, bus: RabbitBus, subscription: Subscription
) -> None:
    """Confirmed means on disk."""
    sent = await bus.publish([command(number) for number in range(100, 130)])
    assert {one.outcome for one in sent} == {"confirmed"}
    await asyncio.to_thread(broker.kill9)
    await asyncio.to_thread(broker.start)
    await receive(subscription, {f"m-{number}" for number in range(100, 130)})


async def test_a_memory_alarm_makes_publishes_unknown_while_acks_flow(
    broker: PrivateRabbit, bus: RabbitBus, subscription: Subscription
) -> None:
    """Publishing ends within its deadline and keeps little in memory; consuming goes on; afterwards all is well."""
    waiting = {f"m-{number}" for number in range(200, 400)}
    sent = await bus.publish([command(number) for number in range(200, 400)])
    assert {one.outcome for one in sent} == {"confirmed"}
    await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.0001")
    try:
        large = [[command(10_000 + 100 * n + i, b"x" * 100_000) for i in range(20)] for n in range(5)]
        async with asyncio.timeout(RECOVERY_SECONDS):
            results = await asyncio.gather(*(bus.publish(batch) for batch in large))
        assert {one.outcome for batch in results for one in batch} == {"unknown"}
        assert "alarm" in results[0][0].detail
        buffered_bytes = bus._publish_link.tap._socket.get_write_buffer_size()  # type: ignore[union-attr]  # connected
        assert buffered_bytes < 1_000_000
        await receive(subscription, waiting)
    finally:
        await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.6")
    await confirmed(bus, 500)
    await receive(subscription, {"m-500"})


async def test_opening_during_an_alarm_ends(broker: PrivateRabbit) -> None:
    """A new process neither hangs nor crashes: it connects, and its publishes are unknown."""
    await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.0001")
    try:
        bus = await RabbitBus.open(broker.url, name="late", publish_seconds=1.0)
        assert (await bus.publish([command(1)]))[0].outcome == "unknown"
        assert (await bus.publish([command(1)]))[0].outcome == "unknown"
        async with asyncio.timeout(RECOVERY_SECONDS):
            await bus.close()
    finally:
        await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.6")


async def test_a_frozen_broker_is_given_up_and_found_again(
    broker: PrivateRabbit, bus: RabbitBus, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that is connected but silent is as good as gone."""
    monkeypatch.setattr(link, "SILENCE_SECONDS_MAX", 2.0)
    monkeypatch.setattr(link, "WATCH_SECONDS", 0.5)
    await confirmed(bus, 1)
    await receive(subscription, {"m-1"})
    await asyncio.to_thread(broker.sigstop)
    try:
        assert (await bus.publish([command(2)]))[0].outcome == "unknown"
        with pytest.raises(Unavailable):
            await receive_until_it_raises(subscription)
    finally:
        await asyncio.to_thread(broker.sigcont)
    monkeypatch.undo()
    await confirmed(bus, 3)
    await receive(subscription, {"m-3"})


async def test_a_wiped_broker_is_used_again_once_its_queues_are_back(
    broker: PrivateRabbit, bus: RabbitBus, subscription: Subscription
) -> None:
    """Everything is lost but the definitions, and nobody has to restart a consumer."""
    await confirmed(bus, 1)
    await asyncio.to_thread(broker.wipe)
    await asyncio.to_thread(broker.keep_declarations)
    await confirmed(bus, 2)
    await receive(subscription, {"m-2"})


async def test_a_node_whose_data_is_reset_reports_its_missing_queues(
    broker: PrivateRabbit, bus: RabbitBus, subscription: Subscription
) -> None:
    """Without its queues receive says which is missing, publishing is returned, and both resume after `apply`."""
    await asyncio.to_thread(broker.ctl, "delete_queue", QUEUE)
    with pytest.raises(MissingQueue, match=r"saga\.commands\.payments"):
        await receive_until_it_raises(subscription)
    assert (await bus.publish([command(1)]))[0].outcome == "returned"
    await apply(broker.url, TOPOLOGY)
    await asyncio.to_thread(broker.keep_declarations)
    await confirmed(bus, 2)
    await receive(subscription, {"m-2"})
