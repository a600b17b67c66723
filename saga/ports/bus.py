"""The message broker."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, Protocol

import msgspec

from saga.core.errors import Unavailable


class Outgoing(msgspec.Struct, frozen=True):
    """A message to publish. Persistent always; mandatory unless it answers a caller who may be gone."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    type: str
    headers: dict[str, str]
    correlation_id: str = ""
    reply_to: str = ""
    mandatory: bool = True


class Delivery(msgspec.Struct, frozen=True):
    """A message taken from a queue and not yet settled."""

    queue: str
    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    type: str
    correlation_id: str
    reply_to: str
    headers: Mapping[str, str]
    """Only `saga-*` and trace headers; a `saga-*` header that is no UTF-8 string is listed in `defects` instead, unless
    it is no reason to lose a message (`UNCRITICAL_HEADERS`)."""
    sender: str | None
    """Who the broker vouches for (`user_id`); None when it vouches for nobody."""
    redelivered: bool
    token: int
    """Names the delivery to `Subscription.ack` and `release`; rises with arrival order."""
    defects: tuple[str, ...] = ()


class Sent(msgspec.Struct, frozen=True):
    """What became of a published message. `unknown` may have arrived or may still arrive: sending again is safe."""

    outcome: Literal["confirmed", "returned", "unknown", "refused"]
    """`returned`: no queue took it. `refused`: the broker will never take it (no permission, too large)."""
    detail: str = ""


class Subscription(Protocol):
    """Deliveries of one queue, on a channel of its own."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can arrive now; None while the queue is consumed. For readiness: any thread may ask."""
        ...

    async def receive(self) -> Sequence[Delivery]:
        """Wait for at least one delivery; return all that are there. Raises Unavailable while the broker is away."""
        ...

    async def settle(self, acked: Sequence[Delivery], released: Sequence[Delivery] = ()) -> None:
        """Acknowledge, and give back for redelivery. Deliveries of a lost channel are ignored: they come again."""
        ...

    async def close(self) -> None:
        """Stop consuming; what is not settled goes back to the queue."""
        ...


class Bus(Protocol):
    """The message broker."""

    @property
    def user(self) -> str:
        """Who the broker takes this process for: what it publishes carries this sender, if any."""
        ...

    async def publish(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """Publish all, await every confirm; one result a message, in order. Never raises for the broker's sake."""
        ...

    async def consume(self, queue: str, prefetch: int) -> Subscription:
        """Open a subscription, restored by the adapter after a reconnect. Raises Unavailable, or MissingQueue."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class MissingQueue(Unavailable):
    """The queue to consume from does not exist; `saga topology apply` makes it."""

    code = "SAGA-4005"


class CallerBus(Bus, Protocol):
    """A bus on which a caller can have a queue of its own for answers."""

    async def declare_results(self, client: str, *, kept: timedelta = ...) -> tuple[str, str]:
        """Make the queue, if it is not there; returns its name and the `reply_to` that leads to it. Unread for as
        long as `kept` it goes away. Raises Unavailable, and BadValue when it is there with another `kept`."""
        ...
