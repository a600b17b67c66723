"""The broker of `saga dev` dies under another process that works on its deliveries."""

import asyncio
from pathlib import Path

from saga.adapters.memory.bus import MemoryBroker
from saga.adapters.memory.guest import GuestBus
from saga.adapters.memory.sharing import SharedBroker
from saga.core.topology import wanted_topology
from saga.wire import command_to_wire
from tests.unit.participant.till import QUEUE, pay


async def test_deliveries_of_a_broker_that_died_are_settled_in_vain(tmp_path: Path) -> None:
    """Acknowledging them is no error, before and after the guest has found its way back: they come again."""
    broker = MemoryBroker(wanted_topology(["bank"]))
    await broker.bus("orchestrator").publish([command_to_wire(pay())])
    first = SharedBroker(broker, tmp_path)
    await first.open()
    guest = await GuestBus.open(tmp_path, user="bank")
    subscription = await guest.consume(QUEUE, 10)
    taken = await subscription.receive()
    await first.close()
    async with asyncio.timeout(5):
        while subscription.trouble is None:  # it hears of it from the connection, a moment later
            await subscription.settle(taken)
            await asyncio.sleep(0)

    second = SharedBroker(broker, tmp_path)
    await second.open()
    again = await subscription.receive()
    await subscription.settle(taken)
    assert [delivery.message_id for delivery in again] == [delivery.message_id for delivery in taken]
    assert broker.ready_count(QUEUE) == 0
    await subscription.settle([], again)
    assert [delivery.redelivered for delivery in await subscription.receive()] == [True]
    await guest.close()
    await second.close()
