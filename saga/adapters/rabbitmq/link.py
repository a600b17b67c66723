"""One connection to the broker, made again for ever; channels on it are opened by whoever needs one."""

import asyncio
import logging
from typing import Any

import aio_pika
import aiormq
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from yarl import URL

from saga.adapters.rabbitmq.failures import Translated, cancelled_by_caller
from saga.adapters.rabbitmq.quiet import quieten_client_logs
from saga.adapters.rabbitmq.transport import Tap, TapFactory
from saga.ports import Unavailable

log = logging.getLogger("saga.rabbitmq")

HEARTBEAT_SECONDS = 15
SILENCE_SECONDS_MAX = 2.0 * HEARTBEAT_SECONDS
CONNECT_SECONDS = 10.0
RPC_SECONDS = 10.0
CLOSE_SECONDS = 5.0
EXAMPLE = "amqp://user:password@host:5672/vhost"
RECONNECT_SECONDS = (0.3, 0.5, 0.7, 1.0)
"""Pauses before the attempts to reconnect; the last one repeats."""
WATCH_SECONDS = 5.0


def broker_url(url: str) -> URL:
    """An address as its parts. Raises ValueError for one that can never work."""
    parsed = URL(url)
    if parsed.scheme not in {"amqp", "amqps"} or not parsed.host:
        raise ValueError(f"it is no AMQP url. Fix: {EXAMPLE}")
    return parsed


class _TappedConnection(aio_pika.Connection):
    """The library's connection over our transport; `connect` has no argument of its own for one."""

    def __init__(self, url: URL, **kwargs: Any) -> None:
        super().__init__(url, **kwargs)
        self.factory = TapFactory()
        self.kwargs["transport_factory"] = self.factory


class Link:
    """Keeps a connection. `up` says whether there is one now; a call that needs one raises Unavailable meanwhile."""

    def __init__(self, url: str, name: str) -> None:
        parsed = broker_url(url)
        self.user = parsed.user or "guest"
        self.place = f"{parsed.host}:{parsed.port or (5671 if parsed.scheme == 'amqps' else 5672)}{parsed.path}"
        self._url = parsed.update_query(heartbeat=str(HEARTBEAT_SECONDS), name=name)
        self._connection: _TappedConnection | None = None
        self._tap: Tap | None = None
        self._up = asyncio.Event()
        self._why_down = "not connected yet"
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, *, name: str) -> "Link":
        """Connect, and stay connected until `close`.

        Raises Unavailable when the first attempt fails, ValueError for an address that can never work.
        """
        quieten_client_logs()
        link = cls(url, name)
        await link._connect()
        link._keeper = asyncio.create_task(link._keep(), name=f"rabbitmq link {name}")
        return link

    async def close(self) -> None:
        """Close the connection; takes at most `CLOSE_SECONDS`."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        self._up.clear()
        self._why_down = "closed by us"
        await self._drop_connection()

    @property
    def up(self) -> bool:
        """Whether there is a connection now."""
        return self._up.is_set()

    @property
    def tap(self) -> Tap:
        """The live connection's stream. Raises Unavailable without one."""
        if not self.up or self._tap is None:
            raise Unavailable(f"no connection to the broker at {self.place}: {self._why_down}")
        return self._tap

    async def wait_until_up(self) -> None:
        """Return when there is a connection; the caller sets the deadline."""
        await self._up.wait()

    async def open_channel(self, *, confirms: bool) -> aiormq.Channel:
        """A new channel of the live connection. Raises Unavailable."""
        tap = self.tap
        assert self._connection is not None
        transport = self._connection.transport
        if transport is None:
            raise Unavailable(f"no connection to the broker at {self.place}: it is being closed")
        with Translated(self.place, "open a channel"):
            async with asyncio.timeout(RPC_SECONDS):
                channel = await transport.connection.channel(publisher_confirms=confirms)
        assert isinstance(channel, aiormq.Channel)
        if tap.gone.done():
            raise Unavailable(f"the connection to {self.place} went away: {tap.gone.result()}")
        return channel

    async def _connect(self) -> None:
        connection: _TappedConnection | None = None
        try:
            with Translated(self.place, "connect"):
                async with asyncio.timeout(CONNECT_SECONDS):
                    connection = _TappedConnection(self._url)
                    await connection.connect(timeout=CONNECT_SECONDS)
        except BaseException:
            if connection is not None:
                await close_quietly(connection)
            raise
        self._connection, self._tap = connection, connection.factory.tap
        self._up.set()

    async def _keep(self) -> None:
        while True:
            assert self._tap is not None
            reason = await self._lost(self._tap)
            self._up.clear()
            self._why_down = reason
            log.warning("connection lost", extra={"place": self.place, "reason": reason})
            await self._drop_connection()
            await self._reconnect()
            log.warning("connection restored", extra={"place": self.place})

    async def _lost(self, tap: Tap) -> str:
        """Wait for the end of the connection; end it ourselves when nothing, not even a heartbeat, was heard."""
        loop = asyncio.get_running_loop()
        while not tap.gone.done():
            await asyncio.wait((tap.gone,), timeout=WATCH_SECONDS)
            if not tap.gone.done() and loop.time() - tap.heard_at > SILENCE_SECONDS_MAX:
                tap.abort(f"nothing heard for {SILENCE_SECONDS_MAX:.0f} s")
        return tap.gone.result()

    async def _reconnect(self) -> None:
        attempt = 0
        while not self.up:
            await asyncio.sleep(RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS) - 1)])
            attempt += 1
            try:
                await self._connect()
            except Unavailable as error:
                self._why_down = str(error)
                log.debug("reconnect failed", extra={"place": self.place, "reason": self._why_down})
            except Exception as error:  # whatever it is, giving up would leave the process deaf for good
                self._why_down = repr(error)
                log.exception("reconnect failed", extra={"place": self.place})

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if self._tap is not None and self._tap.blocked:
            self._tap.abort("closed by us while the broker reads nothing")
        if connection is not None:
            await close_quietly(connection)
        if self._tap is not None:
            self._tap.abort("closed by us")


async def close_quietly(closable: aio_pika.Connection | aiormq.Channel) -> None:
    """Close with a deadline; that it was gone already is no news."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await closable.close()
    except (TimeoutError, *CONNECTION_EXCEPTIONS) as error:
        log.debug("close failed", extra={"reason": repr(error)})
    except asyncio.CancelledError:
        if cancelled_by_caller():
            raise
