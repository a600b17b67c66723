"""Reading for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class SagaFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sagas to list. Every field that is set must match."""

    ids: tuple[str, ...] = ()
    """Only these; what is no saga id matches nothing."""
    name: str | None = None
    statuses: tuple[str, ...] = ()
    wait_kind: str | None = None
    start_key: str | None = None
    tags: dict[str, str] = {}
    root: str | None = None
    """Only the sagas below this one, at any depth, without itself."""
    roots_only: bool = False
    """Only sagas without a parent."""
    started_after: datetime | None = None
    started_before: datetime | None = None
    before: str | None = None
    """Only sagas with a smaller id: the last id of the page before."""
    oldest_first: bool = False
    due_before: datetime | None = None
    """Only sagas whose alarm was set to ring before, the most overdue first."""
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


class Lookup(Protocol):
    """Reading for people: lists, one saga's history, and what time it is there. Asks for no right but to read."""

    async def now(self) -> datetime:
        """Store time."""
        ...

    async def sagas(self, where: SagaFilter) -> Sequence[SagaRow]:
        """Newest first (ids are ordered by start time), unless the filter says otherwise."""
        ...

    async def history(self, saga: str, after: int = 0, limit: int = 1_000) -> Sequence[HistoryRow]:
        """Commits in order, a page at a time."""
        ...
