"""The store in Postgres: what each port asks, as one statement of the folder `sql`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg

from saga.adapters.postgres.arguments import commit_arguments
from saga.adapters.postgres.connection import Connections, PostgresSettings, statement
from saga.adapters.postgres.listing import filtered, history_row, saga_row
from saga.adapters.postgres.migration import ENGINE, connected, migrate, pending
from saga.adapters.postgres.parked import filtered_parked, parked_count, parked_rows
from saga.core import rows
from saga.core.errors import DefinitionConflict
from saga.ports import (
    EVERY_PARKED,
    Batch,
    Committed,
    Due,
    HistoryRow,
    Known,
    OldestWait,
    OpenCount,
    ParkedAction,
    ParkedCount,
    ParkedFilter,
    ParkedRow,
    SagaFilter,
    SagaRow,
    Standing,
    StoredDefinition,
    Tail,
)
from saga.ports.census import OLDEST_LOOKED_AT


class PostgresStore:
    """`saga.ports.Store` in Postgres. Connects when first used and again whenever a connection was lost."""

    def __init__(self, dsn: str, settings: PostgresSettings) -> None:
        self._dsn = dsn
        self._settings = settings
        self._connections = Connections(dsn, settings)

    # ------------------------------------------------------------------------------------------------------ journal

    async def commit(self, batch: Batch) -> Committed:
        """See `saga.ports.Journal`. Raises ValueError for a batch that names a saga twice."""
        rows.distinct_ids([start.saga for start in batch.starts] + [advance.saga for advance in batch.advances])
        answer = await self._connections.commit("commit", *commit_arguments(batch))
        won = [batch.advances[number - 1].saga for number in answer["advanced"]]
        won += map(str, answer["started"])
        return Committed(sagas=frozenset(won), now=answer["now"])

    async def load(self, since: Mapping[str, int]) -> dict[str, Tail]:
        """See `saga.ports.Journal`."""
        sagas = [saga for saga in since if rows.is_saga_id(saga)]
        if not sagas:
            return {}
        found = await self._connections.read("load", sagas, [since[saga] for saga in sagas])
        return {str(record["id"]): _tail(record) for record in found}

    async def find(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """See `saga.ports.Journal`."""
        if not keys:
            return {}
        names = [rows.indexed_text(name) for name, _ in keys]
        start_keys = [rows.indexed_text(start_key) for _, start_key in keys]
        found = await self._connections.read("find", names, start_keys)
        return {keys[record["ord"] - 1]: _known(record) for record in found}

    async def count_children(self, roots: Sequence[str]) -> dict[str, int]:
        """See `saga.ports.Journal`."""
        found = await self._connections.read("count_children", [root for root in roots if rows.is_saga_id(root)])
        return {str(record["root"]): record["count"] for record in found}

    # -------------------------------------------------------------------------------------------------------- wakes

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        """See `saga.ports.Wakes`."""
        found = await self._connections.read("claim", rows.page_limit(limit), timedelta(seconds=lease_seconds))
        return sorted((Due(str(saga), *moments) for saga, *moments in found), key=lambda due: (due.wake_at, due.saga))

    async def rearm(self, wakes: Mapping[str, tuple[int, datetime | None]]) -> None:
        """See `saga.ports.Wakes`."""
        sagas = [saga for saga in wakes if rows.is_saga_id(saga)]
        if sagas:
            versions, moments = [wakes[saga][0] for saga in sagas], [wakes[saga][1] for saga in sagas]
            await self._connections.read("rearm", sagas, versions, moments)

    async def dispatched(self, versions: Mapping[str, int]) -> None:
        """See `saga.ports.Wakes`."""
        sagas = [saga for saga in versions if rows.is_saga_id(saga)]
        if sagas:
            await self._connections.read("dispatched", sagas, [versions[saga] for saga in sagas])

    # -------------------------------------------------------------------------------------------------- definitions

    async def publish(self, definition: StoredDefinition) -> None:
        """See `saga.ports.Definitions`."""
        name, version = rows.stored_text(definition.name), definition.version
        content = rows.stored_text(definition.hash)
        await self._connections.read("publish", content, name, version, definition.canonical)
        for record in await self._connections.read("published", name, version):
            if record["hash"] != content:
                raise DefinitionConflict(name, version, record["hash"], content)

    async def get(self, hash: str) -> StoredDefinition | None:  # noqa: A002 - the port's word
        """See `saga.ports.Definitions`."""
        found = await self._connections.read("definition", rows.stored_text(hash))
        return StoredDefinition(*found[0]) if found else None

    async def named(self, name: str | None = None) -> Sequence[StoredDefinition]:
        """See `saga.ports.Definitions`."""
        wanted = None if name is None else rows.stored_text(name)
        return [StoredDefinition(*record) for record in await self._connections.read("definitions", wanted)]

    # ------------------------------------------------------------------------------------------------------- lookup

    async def now(self) -> datetime:
        """See `saga.ports.Lookup`."""
        [record] = await self._connections.read("now")
        now: datetime = record["now"]
        return now

    async def sagas(self, where: SagaFilter) -> Sequence[SagaRow]:
        """See `saga.ports.Lookup`. Raises ValueError for a cursor that is no saga id."""
        sql, arguments = filtered(statement("sagas"), where)
        return [saga_row(record) for record in await self._connections.read("sagas", *arguments, sql=sql)]

    async def history(self, saga: str, after: int = 0, limit: int = 1_000) -> Sequence[HistoryRow]:
        """See `saga.ports.Lookup`."""
        if not rows.is_saga_id(saga):
            return []
        found = await self._connections.read("history", saga, after, rows.page_limit(limit))
        return [history_row(record) for record in found]

    # ------------------------------------------------------------------------------------------------------- parked

    async def parked(
        self, where: ParkedFilter = EVERY_PARKED, *, before: int | None = None, limit: int = 50
    ) -> Sequence[ParkedRow]:
        """See `saga.ports.ParkedMessages`."""
        sql, arguments = filtered_parked(statement("parked"), where, before, limit)
        found = await self._connections.read("parked", *arguments, sql=sql)
        numbers = [record["id"] for record in found]
        return parked_rows(found, await self._connections.read("parked_actions", numbers) if numbers else [])

    async def parked_counts(self, newest: int = 1_000) -> Sequence[ParkedCount]:
        """See `saga.ports.ParkedMessages`."""
        found = await self._connections.read("parked_counts", rows.page_limit(newest))
        return [parked_count(record) for record in found]

    async def note_parked(self, number: int, action: ParkedAction) -> bool:
        """See `saga.ports.ParkedMessages`."""
        said = (rows.stored_text(action.actor), rows.stored_text(action.reason))
        return bool(await self._connections.write("note_parked", rows.row_number(number), action.verb, *said))

    # ------------------------------------------------------------------------------------------------------- census

    async def standing(self) -> Standing:
        """See `saga.ports.Census`."""
        counted = [OpenCount(*record) for record in await self._connections.read("standing_open")]
        kinds = sorted({each.wait_kind for each in counted})
        found = await self._connections.read("standing_oldest", kinds, OLDEST_LOOKED_AT)
        oldest = tuple(OldestWait(each["wait_kind"], each["since"]) for each in found if each["since"] is not None)
        return Standing(found[-1]["now"], tuple(counted), oldest)

    # ------------------------------------------------------------------------------------------------------- schema

    async def migrate(self) -> Sequence[str]:
        """See `saga.ports.Schema`."""
        async with connected(self._dsn, self._settings) as connection:
            return await migrate(connection, ENGINE)

    async def pending(self) -> Sequence[str]:
        """See `saga.ports.Schema`."""
        async with connected(self._dsn, self._settings) as connection:
            return await pending(connection, ENGINE)

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()


def _tail(record: asyncpg.Record) -> Tail:
    return Tail(
        saga=str(record["id"]),
        name=record["name"],
        definition=record["definition"],
        version=record["version"],
        wake_at=record["wake_at"],
        dispatched_version=record["dispatched_version"],
        commits=tuple(record["commits"]),
    )


def _known(record: asyncpg.Record) -> Known:
    return Known(
        saga=str(record["id"]),
        name=record["name"],
        start_key=record["start_key"],
        input_hash=record["input_hash"],
        version=record["version"],
        status=record["status"],
    )
