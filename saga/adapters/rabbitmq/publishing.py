"""Publishing: a batch is one write; every message ends as confirmed, returned, refused or unknown before a deadline."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from saga.adapters.rabbitmq.confirms import Batch, ConfirmedChannel
from saga.adapters.rabbitmq.link import CLOSE_SECONDS, Link
from saga.core.limits import unsendable
from saga.ports import Outgoing, Sent, Unavailable

log = logging.getLogger("saga.rabbitmq")

WRITE_BYTES = 128 * 1024
UNCONFIRMED_MAX = 1_000
STALLED_SECONDS = 30.0
SUSPECT_SECONDS = 10.0
SUSPECTS_MAX = 1_000
_RETRY_OPEN_SECONDS = 0.2


class Publisher:
    """Publishes over one channel of a link, opened again when it is lost."""

    def __init__(self, link: Link, *, user: str | None, deadline_seconds: float) -> None:
        self._link = link
        self._user = user
        self._deadline_seconds = deadline_seconds
        self._channel: ConfirmedChannel | None = None
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._suspects: dict[tuple[str, str], float] = {}
        """Exchange and key of messages that cost us a channel, and until when they travel on one of their own."""

    async def publish(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """Publish all; ends within the deadline."""
        batch = Batch(messages, [_refusal(message) for message in messages])
        try:
            async with asyncio.timeout(self._deadline_seconds):
                while todo := batch.todo():
                    await self._round(batch, todo)
        except TimeoutError:
            batch.give_up(self._stall())
        finally:
            batch.abandon()
        return batch.results()

    async def close(self) -> None:
        """End with an RPC, so that the broker has read everything before the channel goes."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _round(self, batch: Batch, todo: Sequence[int]) -> None:
        now = asyncio.get_running_loop().time()
        apart = [i for i in todo if i in batch.suspects or self._is_suspect(batch.messages[i], now)]
        if apart:
            await self._publish_apart(batch, apart)
            return
        channel = await self._ready_channel()
        if channel is None:
            return
        free = channel.without_duplicates(batch.messages, todo)
        if not free:
            await channel.changed()  # the same id is still unconfirmed on this channel: hold back
            return
        await self._write(channel, batch, free)
        await batch.settled()

    async def _write(self, channel: ConfirmedChannel, batch: Batch, indices: Iterable[int]) -> None:
        parts: list[int] = []
        size_bytes = 0
        for index in indices:
            parts.append(index)
            size_bytes += len(batch.messages[index].body) + 1_024
            if size_bytes >= WRITE_BYTES or len(parts) >= UNCONFIRMED_MAX // 2:
                await channel.room(UNCONFIRMED_MAX - len(parts))
                channel.send(batch, parts)
                parts, size_bytes = [], 0
        if parts:
            await channel.room(UNCONFIRMED_MAX - len(parts))
            channel.send(batch, parts)

    async def _publish_apart(self, batch: Batch, indices: Sequence[int]) -> None:
        """One at a time on a channel of their own: whoever kills it alone is the culprit, the others go through."""
        channel: ConfirmedChannel | None = None
        try:
            for index in indices:
                if channel is None or channel.loss is not None:
                    channel = await self._open_channel()
                if channel is None:
                    return
                batch.suspects.discard(index)
                await channel.room(UNCONFIRMED_MAX)
                channel.send(batch, [index])
                await batch.settled()
                if channel.loss is not None and channel.loss.by_channel_error:
                    batch.refuse(index, channel.loss.reason)
                    self._suspect(batch.messages[index])
        finally:
            if channel is not None:
                self._close_aside(channel)

    # ------------------------------------------------------------------------------------------------------ channels

    async def _ready_channel(self) -> ConfirmedChannel | None:
        """The shared channel; None when it could not be opened now and is worth another try."""
        async with self._opening:
            channel = self._channel
            if channel is not None and channel.loss is None and channel.stalled_seconds() > STALLED_SECONDS:
                log.warning("publish channel stalled", extra={"place": self._link.place})
                self._close_aside(channel)
                channel = None
            if channel is None or channel.loss is not None:
                self._channel = channel = await self._open_channel()
        return channel

    async def _open_channel(self) -> ConfirmedChannel | None:
        await self._link.wait_until_up()
        try:
            tap = self._link.tap
            await tap.writable()  # a blocked broker does not answer the request for a channel either
            opened = await self._link.open_channel(confirms=True)
        except Unavailable as error:
            log.debug("no publish channel", extra={"reason": str(error)})
            await asyncio.sleep(_RETRY_OPEN_SECONDS)
            return None
        return ConfirmedChannel(opened, tap, self._user)

    def _close_aside(self, channel: ConfirmedChannel) -> None:
        """Nobody's deadline has to wait for the broker to answer the close."""
        closing = asyncio.create_task(channel.close(), name="rabbitmq close channel")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    # ------------------------------------------------------------------------------------------------------ verdicts

    def _is_suspect(self, message: Outgoing, now: float) -> bool:
        return bool(self._suspects) and self._suspects.get((message.exchange, message.routing_key), now) > now

    def _suspect(self, message: Outgoing) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._suspects) >= SUSPECTS_MAX:
            self._suspects = {key: until for key, until in self._suspects.items() if until > now}
        if len(self._suspects) < SUSPECTS_MAX:
            self._suspects[message.exchange, message.routing_key] = now + SUSPECT_SECONDS

    def _stall(self) -> str:
        """Why nothing came back in time, and the end of a connection that is silent altogether."""
        within = f"no confirm within {self._deadline_seconds:g} s"
        try:
            tap = self._link.tap
        except Unavailable as error:
            return f"{within}: {error}"
        if tap.blocked:
            return f"{within}: the broker takes no publishes ({tap.blocked}). Fix: end its memory or disk alarm"
        if asyncio.get_running_loop().time() - tap.heard_at > max(self._deadline_seconds, CLOSE_SECONDS) * 2:
            tap.abort("silent while publishes waited for confirms")
        return within


def _refusal(message: Outgoing) -> Sent | None:
    problem = unsendable(message)
    return None if problem is None else Sent("refused", problem)
