"""The socket under the client library: takes the hot frames of our channels out of the stream, forwards the rest.

The library keeps the handshake, heartbeats, channel management and every RPC. It accepts a transport factory, and
that is the only seam: ours gives it a stream in which deliveries, returns and confirms of registered channels never
show up. They go to their `Route`, in the callback that read them from the socket, without a task for each.
"""

import asyncio
import logging
from typing import Any, Protocol, cast

import msgspec
from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from saga.adapters.rabbitmq import frames

log = logging.getLogger("saga.rabbitmq")

FORWARD_HEARTBEAT_SECONDS = 1.0
_HEAD_BYTES = frames.FRAME_HEAD.size


class Loss(msgspec.Struct, frozen=True):
    """Why a channel is gone. Code 0: its connection went, or we closed it."""

    code: int
    reason: str

    @property
    def by_channel_error(self) -> bool:
        """Whether the broker closed this one channel for something that was done on it."""
        return self.code != 0


class Route(Protocol):
    """Takes the frames of one channel."""

    def frame(self, kind: int, payload: bytes) -> bool:
        """Called for each frame; True when taken, else the library gets it too."""
        ...

    def lost(self, loss: Loss) -> None:
        """Called once, when nothing can be sent or will arrive on the channel any more."""
        ...


class Tap(asyncio.StreamReaderProtocol):
    """One TCP connection: both ends of the stream, split by channel."""

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self._reader = reader  # the protocol itself only keeps a weak reference
        self._loop_time = loop.time
        self._routes: dict[int, Route] = {}
        self._rest = b""
        self._socket: asyncio.Transport | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._unblocked = asyncio.Event()
        self._unblocked.set()
        self.blocked = ""
        """Why the broker reads no publishes of this connection (memory or disk alarm); empty: it does."""
        self.gone: asyncio.Future[str] = loop.create_future()
        self.heard_at = self._forwarded_at = self.unblocked_at = loop.time()

    # ------------------------------------------------------------------------------------------------------- writing

    def write(self, data: bytes) -> None:
        """Send whole frames. They are contiguous on the wire; nothing is sent once the connection is gone."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.write(data)

    async def writable(self) -> None:
        """Wait until the broker reads publishes and the socket's buffer has room."""
        await self._unblocked.wait()
        await self._room.wait()

    async def uncongested(self) -> None:
        """Wait until the socket's buffer has room."""
        await self._room.wait()

    def abort(self, reason: str) -> None:
        """Give the connection up without a handshake."""
        self._end(reason)
        if self._socket is not None:
            self._socket.abort()

    # ------------------------------------------------------------------------------------------------------- routing

    def attach(self, channel: int, route: Route) -> None:
        """From now on the frames of the channel go to the route first."""
        self._routes[channel] = route
        if self.gone.done():
            self.detach(channel, self.gone.result())

    def detach(self, channel: int, reason: str) -> None:
        """The channel is being closed by us."""
        self._lose(channel, Loss(0, reason))

    def _lose(self, channel: int, loss: Loss) -> None:
        route = self._routes.pop(channel, None)
        if route is not None:
            route.lost(loss)

    def _end(self, reason: str) -> None:
        if not self.gone.done():
            self.gone.set_result(reason)
        for channel in tuple(self._routes):
            self._lose(channel, Loss(0, reason))
        self._unblocked.set()  # whoever waits finds its channel lost
        self._room.set()

    # ------------------------------------------------------------------------------------- callbacks of the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)  # uvloop's is one, but does not say so
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop_time()
        forward = self._split(self._rest + data if self._rest else data)
        if not forward and self.heard_at - self._forwarded_at > FORWARD_HEARTBEAT_SECONDS:
            forward = frames.HEARTBEAT  # or the library, hearing nothing under full load, would think us dead
        if forward:
            self._forwarded_at = self.heard_at
            super().data_received(forward)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"connection lost: {exc}" if exc else "connection closed")
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._room.clear()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._room.set()

    # ------------------------------------------------------------------------------------------------------- reading

    def _split(self, data: bytes) -> bytes:
        """Hand frames to their routes; return what the library has to see, and keep an incomplete frame."""
        forward: list[bytes] = []
        at, end = 0, len(data)
        while end - at >= frames.FRAME_OVERHEAD_BYTES:
            kind, channel, size = frames.FRAME_HEAD.unpack_from(data, at)
            stop = at + _HEAD_BYTES + size + 1
            if kind not in frames.KINDS:  # no frame: the library knows what to say to an unknown protocol
                stop = end
                forward.append(data[at:])
            elif stop > end:
                break
            elif not self._taken(kind, channel, data[at + _HEAD_BYTES : stop - 1]):
                forward.append(data[at:stop])
            at = stop
        self._rest = data[at:] if at < end else b""
        return b"".join(forward)

    def _taken(self, kind: int, channel: int, payload: bytes) -> bool:
        if channel == 0:
            self._note_alarm(kind, payload)
            return False
        route = self._routes.get(channel)
        if route is None:
            return False
        if kind == frames.METHOD and frames.method_index(payload) == frames.CHANNEL_CLOSE:
            # Seen before the library answers: from here on nobody writes to a channel that is no longer there, which
            # would cost the whole connection.
            self._lose(channel, Loss(*frames.decode_reason(payload)))
            return False
        return route.frame(kind, payload)

    def _note_alarm(self, kind: int, payload: bytes) -> None:
        if kind != frames.METHOD:
            return
        match frames.method_index(payload):
            case frames.CONNECTION_BLOCKED:
                self.blocked = frames.decode_blocked(payload) or "no reason given"
                self._unblocked.clear()
            case frames.CONNECTION_UNBLOCKED:
                self.blocked = ""
                self.unblocked_at = self._loop_time()
                self._unblocked.set()
            case _:
                pass


class TapFactory(TransportFactory):
    """What the client library opens its socket with."""

    def __init__(self) -> None:
        self.tap: Tap | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, with TLS for `amqps`. Raises AMQPConnectionError."""
        provider = kwargs.pop("ssl_context_provider")
        context = await provider.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        host, port = url.host or "localhost", url.port or 0  # the library has filled in the port
        reader = asyncio.StreamReader(loop=loop)
        tap = Tap(reader, loop)
        try:
            socket, _ = await loop.create_connection(lambda: tap, host, port, ssl=context, **kwargs)
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self.tap = tap
        return reader, asyncio.StreamWriter(socket, tap, reader, loop)
