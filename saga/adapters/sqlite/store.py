"""The store in one SQLite file: the same answers as Postgres, for one machine."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from saga.adapters.sqlite import migration, parked, read, write
from saga.adapters.sqlite.connection import Connection, SqliteSettings
from saga.core import rows
from saga.ports import (
    EVERY_PARKED,
    Batch,
    Clock,
    Committed,
    Due,
    HistoryRow,
    Known,
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


class SqliteStore:
    """`saga.ports.Store` in a file or, as `:memory:`, in this object. Opened by the first call."""

    def __init__(self, path: str, clock: Clock, settings: SqliteSettings) -> None:
        self._clock = clock
        self._connection = Connection(path, settings)

    # ------------------------------------------------------------------------------------------------------ journal

    async def commit(self, batch: Batch) -> Committed:
        """See `saga.ports.Journal`. Raises ValueError for a batch that names a saga twice."""
        rows.distinct_ids([start.saga for start in batch.starts] + [advance.saga for advance in batch.advances])
        now = self._clock.now()
        won = await self._connection.call(lambda open_: write.write_batch(open_, batch, now), writes=True)
        return Committed(sagas=frozenset(won), now=now)

    async def load(self, since: Mapping[str, int]) -> dict[str, Tail]:
        """See `saga.ports.Journal`."""
        return await self._connection.call(lambda open_: read.tails(open_, since))

    async def find(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """See `saga.ports.Journal`."""
        return await self._connection.call(lambda open_: read.known(open_, keys))

    async def count_children(self, roots: Sequence[str]) -> dict[str, int]:
        """See `saga.ports.Journal`."""
        return await self._connection.call(lambda open_: read.count_children(open_, roots))

    # -------------------------------------------------------------------------------------------------------- wakes

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        """See `saga.ports.Wakes`."""
        now = self._clock.now()
        until = now + timedelta(seconds=lease_seconds)
        return await self._connection.call(lambda open_: write.claim(open_, limit, now, until), writes=True)

    async def rearm(self, wakes: Mapping[str, tuple[int, datetime | None]]) -> None:
        """See `saga.ports.Wakes`."""
        await self._connection.call(lambda open_: write.rearm(open_, wakes), writes=True)

    async def dispatched(self, versions: Mapping[str, int]) -> None:
        """See `saga.ports.Wakes`."""
        await self._connection.call(lambda open_: write.dispatched(open_, versions), writes=True)

    # -------------------------------------------------------------------------------------------------- definitions

    async def publish(self, definition: StoredDefinition) -> None:
        """See `saga.ports.Definitions`."""
        now = self._clock.now()
        await self._connection.call(lambda open_: write.publish(open_, definition, now), writes=True)

    async def get(self, hash: str) -> StoredDefinition | None:  # noqa: A002 - the port's word
        """See `saga.ports.Definitions`."""
        return await self._connection.call(lambda open_: read.definition(open_, hash))

    async def named(self, name: str | None = None) -> Sequence[StoredDefinition]:
        """See `saga.ports.Definitions`."""
        return await self._connection.call(lambda open_: read.definitions(open_, name))

    # ------------------------------------------------------------------------------------------------------- lookup

    async def now(self) -> datetime:
        """See `saga.ports.Lookup`."""
        return self._clock.now()

    async def sagas(self, where: SagaFilter) -> Sequence[SagaRow]:
        """See `saga.ports.Lookup`. Raises ValueError for a cursor that is no saga id."""
        if where.before is not None:
            rows.cursor_id(where.before)  # wrong whatever the store holds
        return await self._connection.call(lambda open_: read.sagas(open_, where))

    async def history(self, saga: str, after: int = 0, limit: int = 1_000) -> Sequence[HistoryRow]:
        """See `saga.ports.Lookup`."""
        return await self._connection.call(lambda open_: read.history(open_, saga, after, limit))

    # ------------------------------------------------------------------------------------------------------- parked

    async def parked(
        self, where: ParkedFilter = EVERY_PARKED, *, before: int | None = None, limit: int = 50
    ) -> Sequence[ParkedRow]:
        """See `saga.ports.ParkedMessages`."""
        return await self._connection.call(lambda open_: parked.rows_of(open_, where, before, limit))

    async def parked_counts(self, newest: int = 1_000) -> Sequence[ParkedCount]:
        """See `saga.ports.ParkedMessages`."""
        return await self._connection.call(lambda open_: parked.counts(open_, newest))

    async def note_parked(self, number: int, action: ParkedAction) -> bool:
        """See `saga.ports.ParkedMessages`."""
        now = self._clock.now()
        return await self._connection.call(lambda open_: parked.note(open_, number, action, now), writes=True)

    # ------------------------------------------------------------------------------------------------------- census

    async def standing(self) -> Standing:
        """See `saga.ports.Census`."""
        now = self._clock.now()
        return await self._connection.call(lambda open_: read.standing(open_, now))

    # ------------------------------------------------------------------------------------------------------- schema

    async def migrate(self) -> Sequence[str]:
        """See `saga.ports.Schema`."""
        now = self._clock.now()
        return await self._connection.call(
            lambda open_: migration.migrate(open_, migration.ENGINE, now), writes=True, creates=True
        )

    async def pending(self) -> Sequence[str]:
        """See `saga.ports.Schema`."""
        if not self._connection.is_there():
            return [each.name for each in migration.released(migration.ENGINE)]
        return await self._connection.call(lambda open_: migration.pending(open_, migration.ENGINE))

    async def close(self) -> None:
        """Close the file."""
        await self._connection.close()
