"""Brokers for the conformance suite of the bus: one in memory, the same seen from outside, one that is RabbitMQ."""

import asyncio
import threading
from pathlib import Path
from typing import Protocol

import aio_pika

from saga.adapters.memory.bus import MemoryBroker
from saga.adapters.memory.guest import GuestBus
from saga.adapters.memory.sharing import SharedBroker
from saga.adapters.rabbitmq import RabbitBus
from saga.adapters.rabbitmq.topology import apply
from saga.core.topology import Topology, wanted_topology
from saga.ports import Bus

USER = "guest"
TOPOLOGY = wanted_topology(["payments", "shipping"])


class ResultsBus(Bus, Protocol):
    """What the adapters offer callers beyond the port."""

    async def declare_results(self, client: str) -> tuple[str, str]: ...


class World(Protocol):
    """A broker of its own for one test."""

    async def bus(self) -> ResultsBus: ...
    async def apply(self, topology: Topology) -> None: ...
    async def delete_queue(self, name: str) -> None: ...
    async def close(self) -> None: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.broker = MemoryBroker(TOPOLOGY)

    async def bus(self) -> ResultsBus:
        return self.broker.bus(USER)

    async def apply(self, topology: Topology) -> None:
        self.broker.apply(topology)

    async def delete_queue(self, name: str) -> None:
        self.broker.delete_queue(name)

    async def close(self) -> None:
        return None


class SharedWorld:
    """The memory broker as another process sees it: it lives in a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = MemoryBroker(TOPOLOGY)
        self.shared = SharedBroker(self.broker, folder)
        self.guests: list[GuestBus] = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.shared.open(), self.loop).result(5)

    async def bus(self) -> ResultsBus:
        self.guests.append(await GuestBus.open(self.folder, user=USER))
        return self.guests[-1]

    async def apply(self, topology: Topology) -> None:
        self.loop.call_soon_threadsafe(self.broker.apply, topology)

    async def delete_queue(self, name: str) -> None:
        self.loop.call_soon_threadsafe(self.broker.delete_queue, name)

    async def close(self) -> None:
        for guest in self.guests:
            await guest.close()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.shared.close(), self.loop))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class RabbitWorld:
    def __init__(self, url: str) -> None:
        self.url = url
        self.open: list[RabbitBus] = []

    async def bus(self) -> ResultsBus:
        self.open.append(await RabbitBus.open(self.url, name="conformance"))
        return self.open[-1]

    async def apply(self, topology: Topology) -> None:
        await apply(self.url, topology)

    async def delete_queue(self, name: str) -> None:
        async with await aio_pika.connect(self.url) as connection, connection.channel() as channel:
            await channel.queue_delete(name)

    async def close(self) -> None:
        for bus in self.open:
            await bus.close()
