"""The ports: what the engine and the participants ask of the world, as small protocols with their values.

Every await of an adapter ends: each call has a deadline of its own and raises `Unavailable` when it passes.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from saga.core.errors import Unavailable as Unavailable  # re-exported: adapters raise it, the shell catches it
from saga.core.state import View

# --------------------------------------------------------------------------------------------------------------- bus


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
    """Only `saga-*` and trace headers; a `saga-*` header that is no UTF-8 string is listed in `defects` instead."""
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


# ----------------------------------------------------------------------------------------------------------- journal


class NewSaga(msgspec.Struct, frozen=True):
    """The first commit of a saga."""

    saga: str
    name: str
    start_key: str
    """`k:` + business key, or `m:` + message id; unique with the name, for ever."""
    input_hash: bytes
    root: str
    parent: str | None
    definition: str
    """Hash of the compiled definition, already in the store."""
    cause: str
    data: bytes
    view: View
    wake_at: datetime | None


class Advance(msgspec.Struct, frozen=True):
    """A further commit: takes place only if the saga still stands at `expected_version`."""

    saga: str
    expected_version: int
    cause: str
    """What led to it, for people: `reply payments.ok <message id>`, `tick`, `operator cancel`."""
    data: bytes
    """The events of the decision, encoded."""
    view: View
    wake_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    """A new value of the column; UNSET leaves it alone, None clears it."""


class ParkedMessage(msgspec.Struct, frozen=True):
    """A message the engine could not use, kept with the reason and everything needed to send it again."""

    origin: str
    """The queue it came from."""
    reason: str
    """One of the codes of `saga.wire.Poison`."""
    detail: str
    exchange: str
    routing_key: str
    body: bytes
    headers: dict[str, str]
    message_id: str
    correlation_id: str
    type: str
    reply_to: str
    sender: str | None


class Batch(msgspec.Struct, frozen=True):
    """Everything one commit writes: all of it is durable, or none, except that losers are left out one by one."""

    starts: Sequence[NewSaga] = ()
    advances: Sequence[Advance] = ()
    parked: Sequence[ParkedMessage] = ()


class Committed(msgspec.Struct, frozen=True):
    """Who won. A saga missing here lost a race (or its row was locked): reload it and decide again."""

    sagas: frozenset[str]
    now: datetime
    """Store time."""


class Tail(msgspec.Struct, frozen=True):
    """A saga's commits after the version asked for, oldest first, and what its row says."""

    saga: str
    name: str
    definition: str
    version: int
    wake_at: datetime | None
    dispatched_version: int
    commits: tuple[bytes, ...]


class Known(msgspec.Struct, frozen=True):
    """A saga found by its start key."""

    saga: str
    name: str
    start_key: str
    input_hash: bytes
    version: int
    status: str


class CommitUnknown(Unavailable):
    """The commit was sent and its answer lost: it may have happened. Committing the same batch again is safe."""


class Journal(Protocol):
    """The append-only history and the compare-and-swap row of every saga."""

    async def commit(self, batch: Batch) -> Committed:
        """Append; one history row a saga. Raises CommitUnknown, or Unavailable when surely nothing was written."""
        ...

    async def load(self, since: Mapping[str, int]) -> dict[str, Tail]:
        """The commits after the given version (0: all) of each saga, in one read. Unknown sagas are left out."""
        ...

    async def find(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """Sagas by (name, start key); unknown ones are left out."""
        ...


class Due(msgspec.Struct, frozen=True):
    """A saga whose `wake_at` has passed."""

    saga: str
    wake_at: datetime


class Wakes(Protocol):
    """The lazy timer: `wake_at` is a lower bound of when a saga must be looked at."""

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        """Sagas due by store time, pushed out by the lease so that no other orchestrator takes them meanwhile."""
        ...

    async def rearm(self, wakes: Mapping[str, tuple[int, datetime | None]]) -> None:
        """Write `wake_at` of sagas that still stand at the given version; others are left alone."""
        ...

    async def dispatched(self, versions: Mapping[str, int]) -> None:
        """Raise `dispatched_version` of each saga to at least the given version."""
        ...


class StoredDefinition(msgspec.Struct, frozen=True):
    """A compiled definition as published."""

    hash: str
    name: str
    version: int
    canonical: bytes
    published_at: datetime | None = None


class Definitions(Protocol):
    """Compiled definitions by hash."""

    async def publish(self, definition: StoredDefinition) -> None:
        """Store; publishing the same again changes nothing. Raises DefinitionConflict for the same name and version
        with another hash."""
        ...

    async def get(self, hash: str) -> StoredDefinition | None:  # noqa: A002 - the field's own word
        """By content hash."""
        ...

    async def named(self, name: str | None = None) -> Sequence[StoredDefinition]:
        """All versions of a name, or of every name; by name, then newest first."""
        ...


class SagaFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sagas to list. Every field that is set must match."""

    ids: tuple[str, ...] = ()
    """Only these; what is no saga id matches nothing."""
    name: str | None = None
    statuses: tuple[str, ...] = ()
    wait_kind: str | None = None
    start_key: str | None = None
    tags: dict[str, str] = {}
    started_after: datetime | None = None
    started_before: datetime | None = None
    before: str | None = None
    """Only sagas with a smaller id: the last id of the page before."""
    limit: int = 50


class SagaRow(msgspec.Struct, frozen=True):
    """A saga as a list shows it."""

    saga: str
    name: str
    start_key: str
    definition: str
    definition_version: int
    version: int
    status: str
    wait_kind: str
    wait_text: str
    tags: dict[str, str]
    root: str
    parent: str | None
    started_at: datetime
    wake_at: datetime | None
    dispatched_version: int


class HistoryRow(msgspec.Struct, frozen=True):
    """One commit of a saga."""

    saga: str
    version: int
    cause: str
    at: datetime
    data: bytes


class ParkedRow(msgspec.Struct, frozen=True):
    """A parked message with its number in the table."""

    id: int
    at: datetime
    message: ParkedMessage


class Lookup(Protocol):
    """Reading for people: lists, one saga's history, parked messages."""

    async def sagas(self, where: SagaFilter) -> Sequence[SagaRow]:
        """Newest first (ids are ordered by start time)."""
        ...

    async def history(self, saga: str, after: int = 0, limit: int = 1_000) -> Sequence[HistoryRow]:
        """Commits in order, a page at a time."""
        ...

    async def parked(self, *, before: int | None = None, limit: int = 50) -> Sequence[ParkedRow]:
        """Parked messages, newest first."""
        ...


class Schema(Protocol):
    """The store's own tables."""

    async def migrate(self) -> Sequence[str]:
        """Apply what is missing, forward only, under a lock; returns the names applied."""
        ...

    async def pending(self) -> Sequence[str]:
        """Names of migrations not applied yet. Raises SchemaMismatch when an applied one was changed since."""
        ...


class Store(Journal, Wakes, Definitions, Lookup, Schema, Protocol):
    """One database gives all of these; the engine's modules each ask for the narrow port they use."""

    async def close(self) -> None:
        """Close every connection."""
        ...


# ------------------------------------------------------------------------------------------------------- participant


class Transaction(Protocol):
    """An open transaction of the service's own database: the two methods a team writes for its database library.

    `handle` is what its handlers get as `ctx.tx`.
    """

    @property
    def handle(self) -> object: ...

    async def execute(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement with `$1`-style parameters (bytes, str, int, None); return its rows, if any."""
        ...


class Database(Protocol):
    """Opens transactions in the service's own database: commit on leaving, roll back on an exception."""

    @property
    def dialect(self) -> Literal["postgres", "sqlite"]:
        """Whose SQL it speaks."""
        ...

    def begin(self) -> AbstractAsyncContextManager[Transaction]: ...


# ------------------------------------------------------------------------------------------------------ clock and ids


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds, for measuring durations."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    """The only source of identity and chance."""

    def saga(self) -> str:
        """A new UUIDv7: ids sort by the time they were made."""
        ...

    def message(self) -> str:
        """A new random message id."""
        ...
