"""One channel in confirm mode: writes batches, and matches confirms and returns to the messages they speak of."""

import asyncio
from collections.abc import Sequence

import aiormq

from saga.adapters.rabbitmq import frames
from saga.adapters.rabbitmq.content import decode_properties
from saga.adapters.rabbitmq.link import close_quietly
from saga.adapters.rabbitmq.transport import Loss, Tap
from saga.ports import Outgoing, Sent

CONFIRMED = Sent("confirmed")
RETURNED = Sent("returned", "no queue takes it. Fix: saga topology apply, or declare the service it is for")
NACKED = "the broker answered nack: a queue is full and refuses (overflow), or is just losing its leader"


class Batch:
    """The messages of one `publish` call and what became of each."""

    def __init__(self, messages: Sequence[Outgoing], results: list[Sent | None]) -> None:
        self.messages = messages
        self._results = results
        self._on_wire: dict[int, _Unconfirmed] = {}
        self._waiter: asyncio.Future[None] | None = None
        self.suspects: set[int] = set()
        """Lost with a channel that the broker closed for one of its messages: sent again one by one."""

    def todo(self) -> list[int]:
        """Messages without a result and not on the wire."""
        return [i for i, result in enumerate(self._results) if result is None and i not in self._on_wire]

    def results(self) -> list[Sent]:
        """Every message's; call it when nothing is left to do."""
        return [result or Sent("unknown", "given up") for result in self._results]

    async def settled(self) -> None:
        """Wait until nothing of this batch is on the wire."""
        while self._on_wire:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def refuse(self, index: int, reason: str) -> None:
        """The broker will never take it."""
        self.suspects.discard(index)
        self._results[index] = Sent("refused", reason)

    def give_up(self, reason: str) -> None:
        """The deadline has passed: whatever has no result may or may not have arrived."""
        for index, result in enumerate(self._results):
            self._results[index] = result or Sent("unknown", reason)

    def abandon(self) -> None:
        """Nobody waits any more; late confirms only free the ids."""
        for unconfirmed in self._on_wire.values():
            unconfirmed.abandon()
        self._on_wire = {}

    def put_on_wire(self, index: int, unconfirmed: "_Unconfirmed") -> None:
        """It was written."""
        self._on_wire[index] = unconfirmed

    def settle(self, index: int, result: Sent | None) -> None:
        """It left the wire, with a result, or without one because its channel died of somebody's error."""
        self._on_wire.pop(index, None)
        self._results[index] = result
        if result is None:
            self.suspects.add(index)
        if not self._on_wire and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Unconfirmed:
    """A message on the wire."""

    __slots__ = ("batch", "channel", "index", "message_id", "returned")

    def __init__(self, channel: "ConfirmedChannel", batch: Batch, index: int) -> None:
        self.channel = channel
        self.batch: Batch | None = batch
        self.index = index
        self.message_id = batch.messages[index].message_id
        self.returned = False

    def abandon(self) -> None:
        self.batch = None
        self.channel.note_abandoned()

    def settle(self, result: Sent | None) -> None:
        if self.batch is not None:
            self.batch.settle(self.index, result)


class ConfirmedChannel:
    """A channel of the tap. After `loss` is set nothing more is written; what was unconfirmed has been settled."""

    def __init__(self, channel: aiormq.Channel, tap: Tap, user: str | None) -> None:
        self._channel = channel
        self._tap = tap
        self._user = user
        self._number = channel.number
        self._frame_bytes_max = channel.connection.connection_tune.frame_max
        self._last_tag = 0
        self._lowest_tag = 1
        self._unconfirmed: dict[int, _Unconfirmed] = {}
        self._by_id: dict[str, _Unconfirmed] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._abandoned_count = 0
        self._abandoned_at = 0.0
        self.loss: Loss | None = None
        tap.attach(self._number, self)

    def without_duplicates(self, messages: Sequence[Outgoing], indices: Sequence[int]) -> list[int]:
        """Those whose id is not on the wire, each id once: returns are matched by id, so no two may be out at once."""
        taken: set[str] = set()
        free: list[int] = []
        for index in indices:
            message_id = messages[index].message_id
            if message_id not in self._by_id and message_id not in taken:
                taken.add(message_id)
                free.append(index)
        return free

    async def room(self, unconfirmed_max: int) -> None:
        """Wait until few enough are unconfirmed and the broker reads. Returns at once on a lost channel."""
        await self._tap.writable()
        while self.loss is None and len(self._unconfirmed) > unconfirmed_max:
            await self.changed()

    def send(self, batch: Batch, indices: Sequence[int]) -> None:
        """Write these messages in one go. On a lost channel nothing is written and they stay to be done."""
        if self.loss is not None:
            return
        parts = []
        for index in indices:
            message = batch.messages[index]
            parts.append(frames.encode_publish(message, self._number, self._user, self._frame_bytes_max))
            self._last_tag += 1
            unconfirmed = _Unconfirmed(self, batch, index)
            self._unconfirmed[self._last_tag] = self._by_id[message.message_id] = unconfirmed
            batch.put_on_wire(index, unconfirmed)
        self._tap.write(b"".join(parts))

    async def changed(self) -> None:
        """Wait until something was confirmed or the channel is lost."""
        if self.loss is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def note_abandoned(self) -> None:
        """Somebody gave up waiting for a confirm."""
        if self._abandoned_count == 0:
            self._abandoned_at = asyncio.get_running_loop().time()
        self._abandoned_count += 1

    def stalled_seconds(self) -> float:
        """For how long a confirm has been missing; 0 when the broker is known to be blocked."""
        if self._abandoned_count == 0 or self._tap.blocked:
            return 0.0
        return asyncio.get_running_loop().time() - max(self._abandoned_at, self._tap.unblocked_at)

    async def close(self) -> None:
        """Close the channel; what is unconfirmed is unknown."""
        if self.loss is not None:
            return
        self._tap.detach(self._number, "channel closed by us")
        if not self._tap.blocked:  # a blocked broker would not even read the request
            await close_quietly(self._channel)

    # -------------------------------------------------------------------------------------------------- from the tap

    def frame(self, kind: int, payload: bytes) -> bool:
        """Take confirms and returns."""
        if kind == frames.HEADER:
            self._note_returned(payload)
        if kind != frames.METHOD:
            return True
        match frames.method_index(payload):
            case frames.BASIC_ACK:
                self._confirm(*frames.decode_tag(payload), CONFIRMED)
            case frames.BASIC_NACK:
                self._confirm(*frames.decode_tag(payload), Sent("unknown", NACKED))
            case frames.BASIC_RETURN:
                pass  # its header, the next frame, says which message it was; the confirm comes after its body
            case _:
                return False
        return True

    def lost(self, loss: Loss) -> None:
        """The channel or its connection went."""
        self.loss = loss
        result = None if loss.by_channel_error else Sent("unknown", loss.reason)
        unconfirmed, self._unconfirmed, self._by_id = self._unconfirmed, {}, {}
        for message in unconfirmed.values():
            message.settle(result)
        self._wake()

    def _note_returned(self, payload: bytes) -> None:
        unconfirmed = self._by_id.get(decode_properties(payload).message_id)
        if unconfirmed is not None:
            unconfirmed.returned = True

    def _confirm(self, tag: int, multiple: bool, result: Sent) -> None:  # noqa: FBT001 - as it is on the wire
        for each in range(self._lowest_tag if multiple else tag, tag + 1):
            unconfirmed = self._unconfirmed.pop(each, None)
            if unconfirmed is None:
                continue
            del self._by_id[unconfirmed.message_id]
            if unconfirmed.batch is None:
                self._abandoned_count -= 1
            unconfirmed.settle(RETURNED if unconfirmed.returned else result)
        if multiple:
            self._lowest_tag = tag + 1
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
