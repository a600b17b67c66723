"""The bus over RabbitMQ: one connection publishes, another consumes, so that an alarm never holds up an ack."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from saga.adapters.rabbitmq.consuming import RabbitSubscription
from saga.adapters.rabbitmq.link import Link
from saga.adapters.rabbitmq.publishing import Publisher
from saga.adapters.rabbitmq.topology import declare_results
from saga.core.topology import RESULTS, RESULTS_EXPIRE_MS, result_key, result_queue
from saga.ports import Outgoing, Sent, Subscription, Unavailable

PUBLISH_SECONDS = 10.0


class RabbitBus:
    """`saga.ports.Bus`. The connection that consumes is opened by the first `consume`."""

    def __init__(self, url: str, name: str, link: Link, publisher: Publisher) -> None:
        self._url = url
        self._name = name
        self._publish_link = link
        self._publisher = publisher
        self._consume_link: Link | None = None
        self._opening = asyncio.Lock()
        self._subscriptions: list[RabbitSubscription] = []
        self._closed = False

    @classmethod
    async def open(
        cls, url: str, *, name: str, identify: bool = True, publish_seconds: float = PUBLISH_SECONDS
    ) -> "RabbitBus":
        """Connect, and stay connected until `close`.

        `name` shows in the broker's list of connections. `identify` puts the connection's user into every message,
        which the broker verifies. `publish_seconds` is the deadline of one `publish`. Raises Unavailable when the
        broker cannot be reached or refuses the login.
        """
        link = await Link.open(url, name=f"{name} publish")
        user = link.user if identify else None
        return cls(url, name, link, Publisher(link, user=user, deadline_seconds=publish_seconds))

    @property
    def user(self) -> str:
        """Of the url; without one the broker's own default."""
        return self._publish_link.user

    @property
    def connected(self) -> bool:
        """Whether every connection stands now; for readiness."""
        return self._publish_link.up and (self._consume_link is None or self._consume_link.up)

    async def publish(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """Publish all, await every confirm; one result a message, in order."""
        if self._closed:
            return [Sent("unknown", "the bus is closed; nothing was sent") for _ in messages]
        return await self._publisher.publish(messages)

    async def consume(self, queue: str, prefetch: int) -> Subscription:
        """Open a subscription that survives reconnects. Raises Unavailable, or MissingQueue."""
        if self._closed:
            raise Unavailable("the bus is closed")
        async with self._opening:
            if self._consume_link is None:
                self._consume_link = await Link.open(self._url, name=f"{self._name} consume")
        subscription = await RabbitSubscription.open(self._consume_link, queue, prefetch)
        self._subscriptions = [one for one in self._subscriptions if not one.closed] + [subscription]
        return subscription

    async def declare_results(
        self, client: str, *, kept: timedelta = timedelta(milliseconds=RESULTS_EXPIRE_MS)
    ) -> tuple[str, str]:
        """Make a caller's own queue; returns its name, to consume, and its `reply_to`.

        Idempotent: the same client finds its waiting answers. The queue expires when nobody reads it for as long as
        `kept`, which must stay the same as long as the queue lives. Raises Unavailable, and BadValue for another one.
        """
        user = self._publish_link.user
        queue, reply_to = result_queue(user, client), result_key(user, client)
        await declare_results(self._publish_link, queue, reply_to, RESULTS, kept // timedelta(milliseconds=1))
        return queue, reply_to

    async def close(self) -> None:
        """Close every subscription and connection."""
        self._closed = True
        subscriptions, self._subscriptions = self._subscriptions, []
        await asyncio.gather(*(subscription.close() for subscription in subscriptions))
        await self._publisher.close()
        if self._consume_link is not None:
            await self._consume_link.close()
        await self._publish_link.close()
