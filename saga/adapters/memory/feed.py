"""The history in memory, followed by its position in the order of commits."""

from datetime import datetime, timedelta

import msgspec

from saga.adapters.memory.sagas import SagaTable
from saga.core import rows
from saga.ports import BEGINNING, Clock, Page


class Cursor(msgspec.Struct):
    """How far a follower has come, and who moves it."""

    position: str
    owner: str
    leased_until: datetime


class MemoryFeed:
    """`saga.ports.Feed` of a `MemoryStore`; made by its `feed`."""

    def __init__(self, table: SagaTable, cursors: dict[str, Cursor], clock: Clock) -> None:
        self._table = table
        self._cursors = cursors
        self._clock = clock

    async def take_cursor(self, name: str, owner: str, lease_seconds: float) -> str | None:
        """See `saga.ports.Feed`."""
        now = self._clock.now()
        cursor = self._cursors.setdefault(name, Cursor(BEGINNING, owner, now))
        if cursor.owner != owner and cursor.leased_until > now:
            return None
        cursor.owner, cursor.leased_until = owner, now + timedelta(seconds=lease_seconds)
        return cursor.position

    async def read_after(self, position: str, limit: int) -> Page:
        """See `saga.ports.Feed`."""
        start = 0 if position == BEGINNING else int(position)
        end = start + max(rows.page_limit(limit), 1)
        found = tuple(self._table.log[start:end])
        return Page(found, str(start + len(found)), more=len(self._table.log) > end)

    async def save_cursor(self, name: str, owner: str, position: str, lease_seconds: float) -> bool:
        """See `saga.ports.Feed`."""
        cursor = self._cursors.get(name)
        if cursor is None or cursor.owner != owner:
            return False
        cursor.position = position
        cursor.leased_until = self._clock.now() + timedelta(seconds=lease_seconds)
        return True

    async def close(self) -> None:
        """Nothing to close."""
