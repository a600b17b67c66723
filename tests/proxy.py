"""A TCP proxy that misbehaves on purpose: between client and server it delays, holds, swallows or cuts."""

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import Enum
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES_MAX = 65_536


class Mode(Enum):
    PASS = "pass"
    BLACKHOLE = "blackhole"
    """Hold everything, new connections too, and deliver it when the mode changes: a network that comes back."""
    DROP_TO_CLIENT = "drop to client"
    """The server hears, its answers vanish: a commit or a confirm that was lost."""
    REFUSE = "refuse"
    """New connections are cut at once; those that exist go on until `reset`."""


class Direction(Enum):
    TO_SERVER = "to server"
    TO_CLIENT = "to client"


Hook = Callable[[Direction, bytes], None]


class FaultProxy:
    """Listens on a loopback port and forwards to one server; `async with` starts and ends it.

    `on_bytes` sees each chunk before it is forwarded and may change `mode` or call `reset`: so a fault can be put
    exactly on a COMMIT, a publish or a confirm.
    """

    def __init__(self, host: str, port: int, *, on_bytes: Hook | None = None) -> None:
        self.upstream = (host, port)
        self.on_bytes = on_bytes
        self.delay_seconds = 0.0
        self._mode = Mode.PASS
        self._moved = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        # A connection that lost bytes cannot be continued, only cut.
        self._torn: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.reset()

    @property
    def port(self) -> int:
        assert self._listener is not None
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    @property
    def connection_count(self) -> int:
        return len(self._writers) // 2

    def url(self, direct: str) -> str:
        """The same url through this proxy."""
        parts = urlsplit(direct)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._moved.set()
        self._moved = asyncio.Event()
        if mode is Mode.PASS:
            _abort(self._torn)

    def reset(self) -> None:
        """Cut every connection with a RST, as a crashed host or a firewall does."""
        _abort(self._writers)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            _abort({client})
            return
        self._writers.add(client)
        try:
            await self._while_held()
            answers, server = await asyncio.open_connection(*self.upstream)
        except OSError:
            _abort({client})  # as near as a proxy gets to a server that is down
            return
        finally:
            self._writers.discard(client)
        both = {client, server}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, server, Direction.TO_SERVER))
                pumps.create_task(self._pump(answers, client, Direction.TO_CLIENT))
        except* OSError:
            _abort(both)  # one side was cut, so is the other
        finally:
            self._writers -= both
            self._torn -= both
            for writer in both:
                writer.close()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, direction: Direction) -> None:
        while chunk := await source.read(CHUNK_BYTES_MAX):
            if self.on_bytes is not None:
                self.on_bytes(direction, chunk)
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            await self._while_held()
            if self._mode is Mode.DROP_TO_CLIENT and direction is Direction.TO_CLIENT:
                self._torn.add(target)
                continue
            target.write(chunk)
            await target.drain()
        await self._while_held()
        if not target.is_closing():
            target.write_eof()

    async def _while_held(self) -> None:
        while self._mode is Mode.BLACKHOLE:
            await self._moved.wait()


def _abort(writers: set[asyncio.StreamWriter]) -> None:
    for writer in list(writers):
        raw = writer.get_extra_info("socket")
        if raw.fileno() >= 0:  # not closed yet; without lingering the close becomes a RST
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
