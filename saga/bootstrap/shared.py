"""The broker inside a process of `saga dev`, shared with other processes of this machine."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from saga.adapters.memory.bus import MemoryBroker
from saga.adapters.memory.sharing import SharedBroker
from saga.core.topology import wanted_topology


@asynccontextmanager
async def shared_broker(services: Iterable[str], folder: Path) -> AsyncIterator[MemoryBroker]:
    """A broker in this process, which `open_bus("dev://" + folder)` reaches from other processes. Raises Unavailable.

    It loses everything when the process ends.
    """
    broker = MemoryBroker(wanted_topology(services))
    shared = SharedBroker(broker, folder)
    await shared.open()
    try:
        yield broker
    finally:
        await shared.close()
