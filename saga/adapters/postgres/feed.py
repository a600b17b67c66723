"""The history of Postgres, followed by transaction.

Transaction ids are given out when a transaction first writes and become visible when it commits, in any order. So a
follower stops below the oldest transaction that still runs. A saga's commits have rising ids: who commits version 8 has
seen version 7, whose transaction had its id and was over.

A cursor that is new, or that another database cluster wrote (the database was restored from a dump), says nothing about
the ids here. It begins with the past: everything there is, saga by saga, whatever its ids; then it follows from where
the oldest running transaction stood when it began.
"""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import msgspec

from saga.adapters.postgres.connection import Connections, PostgresSettings
from saga.adapters.postgres.listing import history_row
from saga.core import rows
from saga.ports import BEGINNING, Page

SESSION = {"enable_bitmapscan": "off", "plan_cache_mode": "force_generic_plan"}
"""A bitmap would gather and sort everything that is behind before it returns the first page of it."""
FIRST = "00000000-0000-0000-0000-000000000000"
"""Smaller than the id of any saga."""


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a follower stands, as its cursor keeps it."""

    cluster: str
    """System identifier of the database cluster whose transaction ids these are."""
    tx: int
    """Everything that a smaller transaction wrote here is done."""
    saga: str = FIRST
    version: int = 0
    """Of the transaction itself, or in the past of everything: up to this commit."""
    past: bool = False
    """It still reads what was there when it began; `tx` is where it goes on afterwards."""
    restored: bool = False
    """Some of the past has ids of another cluster, which are not to be compared with `tx`."""


_DECODER = msgspec.json.Decoder(Position)


class PostgresFeed:
    """`saga.ports.Feed` in Postgres, on a connection of its own."""

    def __init__(self, dsn: str, settings: PostgresSettings) -> None:
        one = msgspec.structs.replace(settings, read_connections_max=1)
        self._connections = Connections(dsn, one, SESSION)

    async def take_cursor(self, name: str, owner: str, lease_seconds: float) -> str | None:
        """See `saga.ports.Feed`."""
        lease = timedelta(seconds=lease_seconds)
        found = await self._connections.read("take_cursor", name, owner, lease)
        return str(found[0]["position"]) if found else None

    async def read_after(self, position: str, limit: int) -> Page:
        """See `saga.ports.Feed`."""
        limit = max(rows.page_limit(limit), 1)
        if position == BEGINNING:
            return await self._read_past(await self._begin(), limit)
        here = _DECODER.decode(position)
        return await (self._read_past if here.past else self._read_tail)(here, limit)

    async def save_cursor(self, name: str, owner: str, position: str, lease_seconds: float) -> bool:
        """See `saga.ports.Feed`."""
        lease = timedelta(seconds=lease_seconds)
        return bool(await self._connections.read("save_cursor", name, owner, position, lease))

    async def close(self) -> None:
        """Close the connection."""
        await self._connections.close()

    async def _begin(self) -> Position:
        [now] = await self._connections.read("follow_begin")
        return Position(now["cluster"], now["floor"], past=True, restored=now["restored"])

    async def _read_past(self, here: Position, limit: int) -> Page:
        found = await self._connections.read("follow_past", here.saga, here.version, limit)
        if not found:
            return _page([], Position(here.cluster, here.tx), more=True)
        last = found[-1]
        ours = [record for record in found if here.restored or record["tx"] < here.tx]
        reached = msgspec.structs.replace(here, saga=str(last["saga"]), version=last["version"])
        return _page(ours, reached, more=True)

    async def _read_tail(self, here: Position, limit: int) -> Page:
        found = await self._connections.read("follow_tail", here.tx, here.saga, here.version, limit)
        if found and found[0]["cluster"] != here.cluster:
            page = await self._read_past(await self._begin(), limit)
            why = "the database was restored into another cluster since the cursor was saved"
            return msgspec.structs.replace(page, restarted=why)
        new = [record for record in found if record["saga"] is not None]
        if not new:
            return _page([], here, more=False)
        last = new[-1]
        reached = Position(here.cluster, last["tx"], str(last["saga"]), last["version"])
        return _page(new, reached, more=len(new) == limit)


def _page(found: Sequence[asyncpg.Record], position: Position, *, more: bool) -> Page:
    return Page(tuple(map(history_row, found)), msgspec.json.encode(position).decode(), more)
