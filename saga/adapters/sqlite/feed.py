"""The history of a SQLite file, followed by position: there is one writer, so positions rise with the commits."""

import sqlite3
from datetime import datetime, timedelta

from saga.adapters.sqlite.connection import Connection, SqliteSettings, microseconds, moment
from saga.core import rows
from saga.ports import BEGINNING, Clock, HistoryRow, Page

_TAKE = """
insert into followers (name, owner, position, leased_until) values (?, ?, '', ?)
on conflict (name) do update
set owner = excluded.owner, leased_until = excluded.leased_until
where followers.owner = excluded.owner or followers.leased_until <= ?
"""
_POSITION = "select position from followers where name = ? and owner = ?"
_SAVE = "update followers set position = ?, leased_until = ? where name = ? and owner = ?"
_AFTER = "select position, saga, version, cause, at, data from history where position > ? order by position limit ?"


class SqliteFeed:
    """`saga.ports.Feed` in a file, on a connection of its own: `:memory:` has nothing to follow."""

    def __init__(self, path: str, clock: Clock, settings: SqliteSettings) -> None:
        self._clock = clock
        self._connection = Connection(path, settings)

    async def take_cursor(self, name: str, owner: str, lease_seconds: float) -> str | None:
        """See `saga.ports.Feed`."""
        now = self._clock.now()
        until = now + timedelta(seconds=lease_seconds)
        return await self._connection.call(lambda open_: _take(open_, name, owner, (now, until)), writes=True)

    async def read_after(self, position: str, limit: int) -> Page:
        """See `saga.ports.Feed`."""
        return await self._connection.call(lambda open_: _read(open_, position, max(rows.page_limit(limit), 1)))

    async def save_cursor(self, name: str, owner: str, position: str, lease_seconds: float) -> bool:
        """See `saga.ports.Feed`."""
        until = microseconds(self._clock.now() + timedelta(seconds=lease_seconds))
        change = (position, until, name, owner)
        return await self._connection.call(lambda open_: open_.execute(_SAVE, change).rowcount == 1, writes=True)

    async def close(self) -> None:
        """Close the file."""
        await self._connection.close()


def _take(connection: sqlite3.Connection, name: str, owner: str, lease: tuple[datetime, datetime]) -> str | None:
    now, until = map(microseconds, lease)
    if connection.execute(_TAKE, (name, owner, until, now)).rowcount == 0:
        return None
    (position,) = connection.execute(_POSITION, (name, owner)).fetchone()
    return str(position)


def _read(connection: sqlite3.Connection, position: str, limit: int) -> Page:
    start = 0 if position == BEGINNING else int(position)
    found = connection.execute(_AFTER, (start, limit)).fetchall()
    commits = tuple(HistoryRow(saga, version, cause, moment(at), data) for _, saga, version, cause, at, data in found)
    last = found[-1][0] if found else start
    return Page(commits, str(last), more=len(found) == limit)
