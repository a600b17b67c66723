"""The in-memory broker of one process, for others on the same machine: a Unix socket in a folder.

A connection either publishes or consumes one queue; its first frame says which, and for whom. A frame is four bytes of
length and MessagePack. Whoever may open the socket may do everything: the folder keeps others out.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from saga.adapters.memory.bus import MemoryBroker, MemorySubscription
from saga.ports import Delivery, MissingQueue, Outgoing, Unavailable

SOCKET_NAME = "bus.sock"
SOCKET_PATH_BYTES_MAX = 100
"""Of the operating systems; Linux takes 107."""
LENGTH_BYTES = 4

T = TypeVar("T")


class Hello(msgspec.Struct, frozen=True):
    """What a connection is for: to consume `queue`, else to publish."""

    user: str
    queue: str = ""
    prefetch: int = 0
    client: str = ""
    """Of a caller: its queue for answers is made first."""


class Welcome(msgspec.Struct, frozen=True):
    """The answer to a Hello; `problem` is empty when it may begin."""

    problem: str = ""
    queue_missing: bool = False
    results_queue: str = ""
    reply_to: str = ""


class Arrival(msgspec.Struct, frozen=True):
    """What a consumer gets: deliveries, or the news that its queue is gone."""

    deliveries: list[Delivery] = []
    queue_missing: str = ""


class Settlement(msgspec.Struct, frozen=True):
    """What a consumer gives back: tokens of its deliveries."""

    acked: list[int]
    released: list[int]


class Frames:
    """One connection, as values. A cancelled `read` loses nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._size_bytes: int | None = None

    async def read(self, kind: type[T]) -> T:
        """The next frame. Raises EOFError or OSError when the other side is gone."""
        if self._size_bytes is None:
            self._size_bytes = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES))
        body = await self._reader.readexactly(self._size_bytes)
        self._size_bytes = None
        return msgspec.msgpack.decode(body, type=kind)

    async def write(self, value: object) -> None:
        """Send one frame. Raises OSError when the other side is gone."""
        body = msgspec.msgpack.encode(value)
        self._writer.write(len(body).to_bytes(LENGTH_BYTES) + body)
        await self._writer.drain()

    def close(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()


def socket_path(folder: Path) -> Path:
    """Where the socket of a folder is. Raises Unavailable for a path that is too long for one."""
    path = folder / SOCKET_NAME
    size_bytes = len(bytes(path))
    if size_bytes > SOCKET_PATH_BYTES_MAX:
        raise Unavailable(
            f"{path} is too long for the name of a socket ({size_bytes} bytes, at most {SOCKET_PATH_BYTES_MAX}). "
            "Fix: a folder with a shorter path",
            code="SAGA-1012",
        )
    return path


class SharedBroker:
    """Lets other processes use the broker, from `open` to `close`."""

    def __init__(self, broker: MemoryBroker, folder: Path) -> None:
        self._broker = broker
        self._path = socket_path(folder)
        self._guests: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. A socket that a killed process left is replaced: see to it that no other process lives here."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._receive, self._path)
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Send every guest away."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        await _ended(*self._guests)

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames(reader, writer)
        task = asyncio.ensure_future(self._serve(frames))
        self._guests.add(task)
        await asyncio.wait([task])
        self._guests.discard(task)
        frames.close()
        if not task.cancelled() and not isinstance(task.exception(), OSError | EOFError | Unavailable | None):
            task.result()  # a defect of ours: asyncio reports it

    async def _serve(self, frames: Frames) -> None:
        hello = await frames.read(Hello)
        bus = self._broker.bus(hello.user)
        try:
            results_queue, reply_to = await bus.declare_results(hello.client) if hello.client else ("", "")
            if not hello.queue:
                await frames.write(Welcome(results_queue=results_queue, reply_to=reply_to))
                while True:
                    await frames.write(await bus.publish(await frames.read(list[Outgoing])))
            try:
                subscription = await bus.consume(hello.queue, hello.prefetch)
            except Unavailable as problem:
                await frames.write(Welcome(str(problem), isinstance(problem, MissingQueue)))
                return
            await frames.write(Welcome())
            await _consume(subscription, frames)
        finally:
            await bus.close()


async def _consume(subscription: MemorySubscription, frames: Frames) -> None:
    """Hand out and take back until the guest leaves. Raises what ended it."""
    handed: dict[int, Delivery] = {}

    async def hand_out() -> None:
        while True:
            try:
                deliveries = list(await subscription.receive())
            except MissingQueue as gone:
                await frames.write(Arrival(queue_missing=str(gone)))
                continue
            handed.update((delivery.token, delivery) for delivery in deliveries)
            await frames.write(Arrival(deliveries))

    async def take_back() -> None:
        while True:
            settlement = await frames.read(Settlement)
            await subscription.settle(
                [handed.pop(token) for token in settlement.acked if token in handed],
                [handed.pop(token) for token in settlement.released if token in handed],
            )

    await _first(hand_out(), take_back())


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until the first ends; the others are cancelled. Raises what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _ended(*tasks)
    for task in done:
        task.result()


async def _ended(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
