"""The bus in this process: exchanges, bindings, rights and quorum-queue manners, without persistence."""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache

import msgspec

from saga.core.limits import WANTED_HEADERS, unsendable
from saga.core.topology import RESULTS, Binding, Exchange, Queue, Topology, User, result_key, result_queue
from saga.ports import Delivery, MissingQueue, Outgoing, Sent, Unavailable

CONFIRMED = Sent("confirmed")
RETURNED = Sent("returned", "no queue takes it. Fix: saga topology apply, or declare the service it is for")


class Fate(msgspec.Struct, frozen=True):
    """What a fault hook does to one publish: how many copies arrive, how late, and what the publisher is told."""

    copies: int = 1
    delay_seconds: float = 0.0
    sent: Sent | None = None


class _Stored(msgspec.Struct):
    message: Outgoing
    sender: str
    number: int
    redelivered: bool = False


class _Queue:
    """First in, first out; what is given back returns to its old place."""

    def __init__(self) -> None:
        self.ready: deque[_Stored] = deque()
        self.arrival = asyncio.Event()

    def add(self, stored: _Stored) -> None:
        self.ready.append(stored)
        self.arrival.set()

    def give_back(self, taken: Sequence[_Stored]) -> None:
        for stored in taken:
            stored.redelivered = True
        self.ready = deque(sorted([*self.ready, *taken], key=lambda stored: stored.number))
        self.arrival.set()


class MemoryBroker:
    """Holds the queues. Every service of a process asks for a bus handle in its own name."""

    def __init__(self, topology: Topology, *, fate: Callable[[Outgoing], Fate] | None = None) -> None:
        self.fate = fate
        self._exchanges: dict[str, Exchange] = {}
        self._bindings: list[Binding] = []
        self._queues: dict[str, _Queue] = {}
        self._users: dict[str, User] = {}
        self._number = 0
        self._declared = asyncio.Event()
        self.apply(topology)

    def apply(self, topology: Topology) -> None:
        """Declare what is missing. With users in the topology nobody else gets in, and their rights are checked."""
        self._exchanges |= {exchange.name: exchange for exchange in topology.exchanges}
        self._bindings += [binding for binding in topology.bindings if binding not in self._bindings]
        self._users |= {user.name: user for user in topology.users}
        for queue in topology.queues:
            self._queues.setdefault(queue.name, _Queue())
        self._declared.set()
        self._declared = asyncio.Event()

    def bus(self, user: str) -> "MemoryBus":
        """A handle whose messages carry this user as their sender."""
        return MemoryBus(self, user)

    def ready_count(self, queue: str) -> int:
        """Messages waiting in a queue. Raises MissingQueue."""
        return len(self.queue(queue).ready)

    def delete_queue(self, name: str) -> None:
        """With everything in it."""
        removed = self._queues.pop(name, None)
        self._bindings = [binding for binding in self._bindings if binding.queue != name]
        if removed is not None:
            removed.arrival.set()

    def wipe(self) -> None:
        """Lose everything but the users: messages, queues, bindings and exchanges."""
        for name in tuple(self._queues):
            self.delete_queue(name)
        self._exchanges.clear()

    # --------------------------------------------------------------------------------------------- for its bus handles

    def queue(self, name: str) -> _Queue:
        """Raises MissingQueue."""
        if name not in self._queues:
            raise MissingQueue(f"no queue {name!r} on the in-memory broker. Fix: declare its service")
        return self._queues[name]

    def has(self, name: str) -> bool:
        """Whether the queue exists."""
        return name in self._queues

    async def declared(self) -> None:
        """Wait for the next `apply`."""
        await self._declared.wait()

    def take(self, message: Outgoing, user: str) -> Sent:
        """Route one message."""
        if (problem := unsendable(message)) is not None:
            return Sent("refused", problem)
        exchange = self._exchanges.get(message.exchange)
        if exchange is None:
            return Sent("refused", f"no exchange {message.exchange!r}. Fix: saga topology apply")
        if not self._may_write(user, message):
            return Sent("refused", f"{user} may not publish to {message.exchange} under {message.routing_key!r}")
        queues = {b.queue for b in self._bindings if b.exchange == exchange.name and _matches(exchange, b, message)}
        if not queues:
            return RETURNED if message.mandatory else CONFIRMED
        fate = Fate() if self.fate is None else self.fate(message)
        for name in sorted(queues) * fate.copies:
            if fate.delay_seconds:
                asyncio.get_running_loop().call_later(fate.delay_seconds, self._store, name, message, user)
            else:
                self._store(name, message, user)
        return fate.sent or CONFIRMED

    def may_read(self, user: str, queue: str) -> bool:
        """Whether the user may consume from the queue."""
        return not self._users or (user in self._users and bool(re.search(self._users[user].read, queue)))

    def _may_write(self, user: str, message: Outgoing) -> bool:
        if not self._users:
            return True
        rights = self._users.get(user)
        if rights is None or not re.search(rights.write, message.exchange):
            return False
        topics = [right.write for right in rights.topics if right.exchange == message.exchange]
        return all(re.search(pattern, message.routing_key) for pattern in topics)

    def _store(self, queue: str, message: Outgoing, user: str) -> None:
        if queue in self._queues:  # a delayed message may find it gone
            self._number += 1
            self._queues[queue].add(_Stored(message, user, self._number))


class MemoryBus:
    """`saga.ports.Bus` for one user of a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, user: str) -> None:
        self._broker = broker
        self.user = user
        self._subscriptions: list[MemorySubscription] = []
        self._closed = False

    async def publish(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """Publish all; one result a message, in order."""
        await asyncio.sleep(0)  # as over a network: others may run in between
        if self._closed:
            return [Sent("unknown", "the bus is closed; nothing was sent") for _ in messages]
        return [self._broker.take(message, self.user) for message in messages]

    async def consume(self, queue: str, prefetch: int) -> "MemorySubscription":
        """Open a subscription. Raises MissingQueue, or Unavailable without the right to read."""
        if self._closed:
            raise Unavailable("the bus is closed")
        self._broker.queue(queue)
        if not self._broker.may_read(self.user, queue):
            raise Unavailable(f"{self.user} may not read {queue}")
        subscription = MemorySubscription(self._broker, queue, prefetch)
        self._subscriptions.append(subscription)
        return subscription

    async def declare_results(self, client: str, *, kept: timedelta = timedelta.max) -> tuple[str, str]:  # noqa: ARG002
        """Make a caller's own queue; returns its name and its `reply_to`. It is kept as long as the process lives."""
        queue, reply_to = result_queue(self.user, client), result_key(self.user, client)
        self._broker.apply(Topology(queues=(Queue(queue),), bindings=(Binding(RESULTS, queue, reply_to),)))
        return queue, reply_to

    async def close(self) -> None:
        """Close every subscription."""
        self._closed = True
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.close()


class MemorySubscription:
    """Deliveries of one queue. Those of a queue that was deleted meanwhile can no longer be settled."""

    def __init__(self, broker: MemoryBroker, queue: str, prefetch: int) -> None:
        self._broker = broker
        self._name = queue
        self._prefetch = prefetch
        self._source: _Queue | None = broker.queue(queue)
        self._unsettled: dict[int, _Stored] = {}
        self._token = 0
        self._room = asyncio.Event()
        self._closed = False

    @property
    def trouble(self) -> str | None:
        """Why nothing can arrive now."""
        return None if self._broker.has(self._name) else f"the queue {self._name!r} is missing"

    async def receive(self) -> Sequence[Delivery]:
        """Wait for deliveries and return what is there, up to the prefetch.

        Raises MissingQueue once when the queue is gone; calling it again waits until it is declared.
        """
        await asyncio.sleep(0)
        while True:
            if self._closed:
                raise Unavailable(f"the subscription of {self._name} is closed")
            source = await self._present()
            count = min(len(source.ready), self._prefetch - len(self._unsettled))
            if count > 0:
                return [self._hand_out(source.ready.popleft()) for _ in range(count)]
            signal = source.arrival if len(self._unsettled) < self._prefetch else self._room
            signal.clear()
            await signal.wait()

    async def settle(self, acked: Sequence[Delivery], released: Sequence[Delivery] = ()) -> None:
        """Acknowledge and give back; what was settled before is ignored."""
        await asyncio.sleep(0)
        for delivery in acked:
            self._unsettled.pop(delivery.token, None)
        self._give_back([stored for d in released if (stored := self._unsettled.pop(d.token, None))])
        self._room.set()

    async def close(self) -> None:
        """Stop consuming; what is not settled goes back to the queue."""
        self._closed = True
        unsettled, self._unsettled = list(self._unsettled.values()), {}
        self._give_back(unsettled)
        self._room.set()
        if self._source is not None:
            self._source.arrival.set()  # wakes a receive that is waiting

    async def _present(self) -> _Queue:
        """The queue as it is now. Raises MissingQueue when it has just gone."""
        if self._source is None:
            while not self._broker.has(self._name):
                await self._broker.declared()
            self._source = self._broker.queue(self._name)
        if not self._broker.has(self._name) or self._broker.queue(self._name) is not self._source:
            self._source = None
            self._unsettled.clear()
            raise MissingQueue(f"the queue {self._name!r} was deleted. Fix: saga topology apply")
        return self._source

    def _give_back(self, stored: Sequence[_Stored]) -> None:
        if stored and self._source is not None:
            self._source.give_back(stored)

    def _hand_out(self, stored: _Stored) -> Delivery:
        self._token += 1
        self._unsettled[self._token] = stored
        message = stored.message
        return Delivery(
            queue=self._name,
            exchange=message.exchange,
            routing_key=message.routing_key,
            body=message.body,
            message_id=message.message_id,
            type=message.type,
            correlation_id=message.correlation_id,
            reply_to=message.reply_to,
            headers={name: value for name, value in message.headers.items() if name.startswith(WANTED_HEADERS)},
            sender=stored.sender,
            redelivered=stored.redelivered,
            token=self._token,
        )


def _matches(exchange: Exchange, binding: Binding, message: Outgoing) -> bool:
    if exchange.type == "fanout":
        return True
    return topic_matches(binding.routing_key, message.routing_key)


@lru_cache(maxsize=4_096)
def topic_matches(pattern: str, routing_key: str) -> bool:
    """As a topic exchange does: `*` is one word, `#` any number of them."""
    return _words_match(pattern.split("."), routing_key.split("."))


def _words_match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(_words_match(rest, words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _words_match(rest, words[1:])
