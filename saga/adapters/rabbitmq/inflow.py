"""The deliveries of one channel: assembled from frames, numbered, and settled with as few acks as possible."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from saga.adapters.rabbitmq import frames
from saga.adapters.rabbitmq.content import (
    Deliver,
    Properties,
    decode_body_size,
    decode_deliver,
    decode_properties,
    oversize,
)
from saga.adapters.rabbitmq.transport import Loss, Tap
from saga.core.limits import BODY_BYTES_MAX
from saga.ports import Delivery

log = logging.getLogger("saga.rabbitmq")

_UNREADABLE = Properties(headers={}, defects=("the message cannot be read",))


class Inflow:
    """Deliveries from consume to loss. The only consumer of its channel, so tags count 1, 2, 3 without a gap."""

    def __init__(self, tap: Tap, channel: int, queue: str, first_token: int, wake: Callable[[], None]) -> None:
        self._tap = tap
        self._channel = channel
        self._queue = queue
        self._before_first = first_token - 1
        self._wake = wake
        self._ready: list[Delivery] = []
        self._deliver: Deliver | None = None
        self._properties = _UNREADABLE
        self._body_bytes = 0
        self._missing_bytes = 0
        self._body: list[bytes] = []
        self._floor = 0
        """Every tag up to here is settled."""
        self._settled: set[int] = set()
        """Settled tags above the floor."""
        self.arrived_count = 0
        self.loss: Loss | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        tap.attach(channel, self)

    @property
    def token_after_last(self) -> int:
        """The first token of the next inflow."""
        return self._before_first + self.arrived_count + 1

    @property
    def unsettled_count(self) -> int:
        """Deliveries the broker waits for."""
        return self.arrived_count - self._floor - len(self._settled)

    def take(self) -> list[Delivery]:
        """Everything that has arrived since the last call."""
        taken, self._ready = self._ready, []
        return taken

    def settle(self, acked: Iterable[int], released: Iterable[int]) -> None:
        """Write acks: one for the unbroken run from the oldest on, single ones behind a gap. Repeats are ignored."""
        if self.loss is not None:
            return
        acks = {tag for tag in self._tags(acked) if self._is_open(tag)}
        nacks = {tag for tag in self._tags(released) if self._is_open(tag)} - acks
        parts = [frames.encode_nack(self._channel, tag) for tag in sorted(nacks)]
        self._settled |= acks | nacks
        floor = self._floor
        while floor + 1 in self._settled:
            floor += 1
            self._settled.discard(floor)
        self._floor = floor
        # The tag of a multiple ack must itself be unsettled, or the broker closes the channel.
        if run := [tag for tag in acks if tag <= floor]:
            parts.append(frames.encode_ack(self._channel, max(run), multiple=True))
        parts += [frames.encode_ack(self._channel, tag) for tag in sorted(acks) if tag > floor]
        if parts:
            self._tap.write(b"".join(parts))

    async def drained(self) -> None:
        """Wait until the socket takes more; acks are not held up by a memory alarm, which stops publishes only."""
        if self.loss is None:
            await self._tap.uncongested()

    def end(self, reason: str = "closed by us") -> None:
        """Take no more."""
        self._tap.detach(self._channel, reason)

    # -------------------------------------------------------------------------------------------------- from the tap

    def frame(self, kind: int, payload: bytes) -> bool:
        """Take deliveries; the library answers everything else."""
        if kind == frames.METHOD:
            return self._method(payload)
        try:
            if kind == frames.HEADER:
                self._header(payload)
            else:
                self._chunk(payload)
        except Exception:  # a sender's bytes must not cost the connection: it would come again, for ever
            log.exception("a delivery could not be read", extra={"queue": self._queue})
            self._properties, self._missing_bytes = _UNREADABLE, 0
            self._finish()
        return True

    def lost(self, loss: Loss) -> None:
        """What was not taken comes again on the next channel."""
        self.loss = loss
        self._ready.clear()
        if not self.ended.done():
            self.ended.set_result(loss.reason)
        self._wake()

    def _method(self, payload: bytes) -> bool:
        match frames.method_index(payload):
            case frames.BASIC_DELIVER:
                self._deliver = decode_deliver(payload)
                return True
            case frames.BASIC_CANCEL:
                self.end("the broker cancelled the consumer: its queue was deleted or lost its leader")
            case _:
                pass
        return False

    def _header(self, payload: bytes) -> None:
        self._properties = decode_properties(payload)
        self._body_bytes = self._missing_bytes = decode_body_size(payload)
        self._body = []
        if self._missing_bytes == 0:
            self._finish()

    def _chunk(self, payload: bytes) -> None:
        self._missing_bytes -= len(payload)
        if self._body_bytes <= BODY_BYTES_MAX:
            self._body.append(payload)
        if self._missing_bytes <= 0:
            self._finish()

    def _finish(self) -> None:
        deliver, self._deliver = self._deliver, None
        if deliver is None:
            return
        body, self._body = self._body, []
        properties = self._properties
        too_large = oversize(self._body_bytes) if self._body_bytes > BODY_BYTES_MAX else ()
        self.arrived_count += 1
        self._ready.append(
            Delivery(
                queue=self._queue,
                exchange=deliver.exchange,
                routing_key=deliver.routing_key,
                body=body[0] if len(body) == 1 else b"".join(body),
                message_id=properties.message_id,
                type=properties.type,
                correlation_id=properties.correlation_id,
                reply_to=properties.reply_to,
                headers=properties.headers,
                sender=properties.user_id,
                redelivered=deliver.redelivered,
                token=self._before_first + deliver.tag,
                defects=deliver.defects + properties.defects + too_large,
            )
        )
        self._wake()

    def _tags(self, tokens: Iterable[int]) -> Iterable[int]:
        return (token - self._before_first for token in tokens)

    def _is_open(self, tag: int) -> bool:
        return self._floor < tag <= self.arrived_count and tag not in self._settled
