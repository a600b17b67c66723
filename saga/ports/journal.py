"""The append-only history, the alarm of each saga, and the definitions they are pinned to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from saga.core.errors import Unavailable
from saga.core.state import View


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
    only_earlier: bool = False
    """Leave the row's own alarm if it is earlier: another process may have set it since this one read the row."""

    @property
    def alarm(self) -> Literal["kept", "earlier", "exact"]:
        """How the column is written."""
        if isinstance(self.wake_at, msgspec.UnsetType) or (self.only_earlier and self.wake_at is None):
            return "kept"
        return "earlier" if self.only_earlier else "exact"


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

    code = "SAGA-4010"


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

    async def count_children(self, roots: Sequence[str]) -> dict[str, int]:
        """How many sagas there are below each root, at any depth; those with none may be left out."""
        ...


class Due(msgspec.Struct, frozen=True):
    """A saga whose `wake_at` has passed."""

    saga: str
    wake_at: datetime
    now: datetime
    """Store time of the claim."""


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
