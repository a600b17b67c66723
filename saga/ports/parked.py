"""Messages nobody could use: what is kept of them, and what operators did with each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from saga.ports.journal import ParkedMessage

ParkedVerb = Literal["redriving", "redriven", "discarded"]
"""`redriving` is noted before a message is sent: without a later `redriven` it may have been sent all the same."""


class ParkedFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which parked messages to list. Every field that is set must match."""

    ids: tuple[int, ...] = ()
    origin: str | None = None
    """The queue they came from."""
    reason: str | None = None
    settled: bool | None = None
    """Whether they were redriven or discarded; None: all."""
    after: int | None = None
    """Only those with a greater number, and then oldest first."""


EVERY_PARKED = ParkedFilter()


class ParkedAction(msgspec.Struct, frozen=True):
    """What an operator did with a parked message."""

    verb: ParkedVerb
    actor: str
    reason: str
    at: datetime | None = None
    """Store time; None until it is recorded."""


class ParkedRow(msgspec.Struct, frozen=True):
    """A parked message with its number in the table."""

    id: int
    at: datetime
    message: ParkedMessage
    settled: Literal["redriven", "discarded"] | None = None
    actions: tuple[ParkedAction, ...] = ()
    """Oldest first."""


class ParkedCount(msgspec.Struct, frozen=True):
    """How many messages are parked for one reason from one queue."""

    origin: str
    reason: str
    count: int
    oldest_id: int
    oldest_at: datetime


class ParkedMessages(Protocol):
    """The messages nobody could use. They are never deleted: an operator's actions are added."""

    async def parked(
        self, where: ParkedFilter = EVERY_PARKED, *, before: int | None = None, limit: int = 50
    ) -> Sequence[ParkedRow]:
        """A page, newest first unless `where.after` is set."""
        ...

    async def parked_counts(self, newest: int = 1_000) -> Sequence[ParkedCount]:
        """Unsettled messages by reason and queue, most numerous first; counts no more than the newest so many."""
        ...

    async def note_parked(self, number: int, action: ParkedAction) -> bool:
        """Add an action, at store time; False when there is no such message.

        From then on the same message parked again is a new row, so that one sent again in vain is seen. Raises
        CommitUnknown when it may have been recorded: the same again is one more line, and no harm.
        """
        ...
