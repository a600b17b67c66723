"""The way between engine and participants in virtual time: delays, losses, copies, and services that are down."""

import hashlib
import heapq
from datetime import datetime, timedelta

import msgspec

from saga.core.messages import CommandMessage, ReplyMessage
from saga.testing.answers import Answer


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """How messages travel. Chance is drawn from the run's seed and the message, so a seed always tells the same story.

    Raises ValueError for shares that are none.
    """

    delay: timedelta = timedelta(0)
    """At most so long for each message, evenly spread: more than nothing makes messages overtake each other."""
    lost: float = 0.0
    """Share of replies that never arrive. Commands are not lost: the broker keeps them."""
    twice: float = 0.0
    """Share of messages that arrive twice."""

    def __post_init__(self) -> None:
        if not (0 <= self.lost < 1 and 0 <= self.twice <= 1 and self.delay >= timedelta(0)):
            raise ValueError(f"{self}: shares go from 0 to 1 (lost stays below 1), and no delay is below 0")


CALM = Network()
"""Every message arrives once and at once."""
ROUGH = Network(delay=timedelta(seconds=40), lost=0.2, twice=0.3)
"""Slower than an attempt may take, overtaking, often lost, often twice."""


class Flight(msgspec.Struct, frozen=True):
    """A message on its way."""

    message: CommandMessage | ReplyMessage
    answer: Answer | None = None
    """Of a command: what its participant says."""
    reply_lost: bool = False
    reply_after: timedelta = timedelta(0)


class Flights:
    """Messages on their way, by arrival; those that arrive together in the order in which they were sent."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._seed = seed
        self._count = 0
        self._heap: list[tuple[datetime, int, Flight]] = []
        self._held: dict[str, list[Flight]] = {}

    def likewise(self) -> "Flights":
        """The same network for the messages of another saga."""
        return Flights(self._network, self._seed)

    @property
    def empty(self) -> bool:
        """Whether nothing is on its way; what waits before a service that is down is not."""
        return not self._heap

    def next_at(self) -> datetime | None:
        """When the next one arrives."""
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Flight | None:
        """The next one; None if it waits in a queue now that nobody reads."""
        flight = heapq.heappop(self._heap)[2]
        held = self._held.get(flight.message.service) if isinstance(flight.message, CommandMessage) else None
        if held is None:
            return flight
        held.append(flight)
        return None

    def send(self, flight: Flight, at: datetime, copies: int = 1) -> None:
        """Put a message on its way; the network adds its own."""
        name = f"{flight.message.key} {flight.message.attempt} {self._count}"
        if isinstance(flight.message, ReplyMessage) and self._chance("lost", name) < self._network.lost:
            return
        if self._chance("twice", name) < self._network.twice:
            copies += 1
        for copy in range(copies):
            self._push(flight, at + self._network.delay * self._chance(f"delay {copy}", name))

    def down(self, service: str) -> None:
        """Nobody takes its commands; they wait."""
        self._held.setdefault(service, [])

    def up(self, service: str, now: datetime) -> None:
        """Its commands are taken again, those that waited first."""
        for flight in self._held.pop(service, []):
            self._push(flight, now)

    def _push(self, flight: Flight, at: datetime) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, flight))

    def _chance(self, what: str, name: str) -> float:
        """A fraction in [0, 1)."""
        digest = hashlib.blake2b(f"{self._seed} {what} {name}".encode(), digest_size=4).hexdigest()
        return int(digest, 16) / 2**32
