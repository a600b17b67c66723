"""What only the in-memory bus has: faults on purpose, wiping, and rights without a broker."""

import asyncio

import pytest

from saga.adapters.memory.bus import Fate, MemoryBroker, topic_matches
from saga.core.topology import caller, orchestrator, participant, wanted_topology
from saga.ports import MissingQueue, Outgoing, Sent, Unavailable

QUEUE = "saga.commands.payments"
PLAIN = wanted_topology(["payments"])


def command(number: int = 1) -> Outgoing:
    return Outgoing("saga.commands", "payments.A.v1", b"{}", f"m-{number}", "t", {})


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("payments.#", "payments.A.v1", True),
        ("payments.#", "payments", True),
        ("payments.#", "paymentsx.A", False),
        ("payments.*.v1", "payments.A.v1", True),
        ("payments.*.v1", "payments.A.B.v1", False),
        ("#", "", True),
        ("#.v1", "payments.A.v1", True),
        ("a.#.c", "a.c", True),
        ("a.#.c", "a.b.b.c", True),
        ("*", "a.b", False),
    ],
)
def test_topics_match_as_on_a_broker(pattern: str, key: str, matches: bool) -> None:
    """`*` is one word, `#` any number."""
    assert topic_matches(pattern, key) is matches


async def test_a_fault_hook_decides_what_becomes_of_a_message() -> None:
    """Lost though confirmed, doubled, or arrived though unknown."""
    fates = {
        "m-1": Fate(copies=0),
        "m-2": Fate(copies=2),
        "m-3": Fate(sent=Sent("unknown", "confirm lost")),
        "m-4": Fate(copies=0, sent=Sent("unknown", "never sent")),
    }
    broker = MemoryBroker(PLAIN, fate=lambda message: fates[message.message_id])
    bus = broker.bus("engine")
    sent = await bus.publish([command(number) for number in (1, 2, 3, 4)])
    assert [one.outcome for one in sent] == ["confirmed", "confirmed", "unknown", "unknown"]
    got = await (await bus.consume(QUEUE, 10)).receive()
    assert [delivery.message_id for delivery in got] == ["m-2", "m-2", "m-3"]


async def test_a_delayed_message_is_overtaken() -> None:
    """Reordering, as redelivery does it on a broker."""
    broker = MemoryBroker(PLAIN, fate=lambda m: Fate(delay_seconds=0.001 if m.message_id == "m-1" else 0.0))
    bus = broker.bus("engine")
    subscription = await bus.consume(QUEUE, 10)
    await bus.publish([command(1), command(2)])
    assert [delivery.message_id for delivery in await subscription.receive()] == ["m-2"]
    assert [delivery.message_id for delivery in await subscription.receive()] == ["m-1"]


async def test_a_wiped_broker_forgets_everything() -> None:
    """Publishing is refused for want of an exchange, and unsettled deliveries are gone with their queue."""
    broker = MemoryBroker(PLAIN)
    bus = broker.bus("engine")
    await bus.publish([command(1), command(2)])
    subscription = await bus.consume(QUEUE, 1)
    stale = await subscription.receive()
    broker.wipe()
    assert (await bus.publish([command(3)]))[0].outcome == "refused"
    with pytest.raises(MissingQueue):
        broker.ready_count(QUEUE)
    with pytest.raises(MissingQueue):
        await subscription.receive()
    broker.apply(PLAIN)
    await subscription.settle([], released=stale)
    assert broker.ready_count(QUEUE) == 0
    await bus.publish([command(4)])
    assert [delivery.message_id for delivery in await subscription.receive()] == ["m-4"]


async def test_a_receiver_that_waits_hears_that_its_queue_was_deleted() -> None:
    """It does not wait for ever."""
    broker = MemoryBroker(PLAIN)
    subscription = await broker.bus("engine").consume(QUEUE, 1)
    waiting = asyncio.ensure_future(subscription.receive())
    for _ in range(3):
        await asyncio.wait((waiting,), timeout=0)
    assert not waiting.done()
    broker.delete_queue(QUEUE)
    with pytest.raises(MissingQueue):
        await waiting


async def test_rights_hold_in_memory_too() -> None:
    """With users in the topology, a mistake in them shows before there is a broker."""
    users = [participant("payments"), caller("shop", starts=["order"]), orchestrator()]
    broker = MemoryBroker(wanted_topology(["payments"], users))
    payments, shop, engine = (broker.bus(name) for name in ("payments", "shop", "orchestrator"))
    reply = [Outgoing("saga.replies", key, b"", f"r-{key}", "t", {}) for key in ("payments.ok", "shipping.ok")]
    assert [one.outcome for one in await payments.publish(reply)] == ["confirmed", "refused"]
    starts = [Outgoing("saga.start", key, b"", f"s-{key}", "t", {}) for key in ("order", "report")]
    assert [one.outcome for one in await shop.publish(starts)] == ["confirmed", "refused"]
    assert [one.outcome for one in await shop.publish([command()])] == ["refused"]
    assert [one.outcome for one in await engine.publish([command()])] == ["confirmed"]
    assert [one.outcome for one in await broker.bus("nobody").publish([command()])] == ["refused"]
    await payments.consume(QUEUE, 1)
    with pytest.raises(Unavailable, match="may not read"):
        await shop.consume(QUEUE, 1)
