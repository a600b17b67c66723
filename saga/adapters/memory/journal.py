"""The store in plain dictionaries: the same answers as a database, at the speed of a simulation, gone with the process.

Nothing here awaits, so every call is one step to any scheduler, and nothing depends on hashing order or chance.
"""

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from saga.adapters.memory.feed import Cursor, MemoryFeed
from saga.adapters.memory.parked import ParkedTable
from saga.adapters.memory.sagas import SagaTable, known, listed, matches, standing, stored_key, tail
from saga.core import rows
from saga.core.errors import DefinitionConflict
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


class MemoryStore:
    """`saga.ports.Store` in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._table = SagaTable()
        self._definitions: dict[str, StoredDefinition] = {}
        self._parked = ParkedTable()
        self._cursors: dict[str, Cursor] = {}

    def feed(self) -> MemoryFeed:
        """The history, to be followed; the cursors stay with the store."""
        return MemoryFeed(self._table, self._cursors, self._clock)

    # ------------------------------------------------------------------------------------------------------ journal

    async def commit(self, batch: Batch) -> Committed:
        """See `saga.ports.Journal`."""
        rows.distinct_ids([start.saga for start in batch.starts] + [advance.saga for advance in batch.advances])
        now = self._clock.now()
        # Advances first: in SQL they do not see the sagas that the same statement starts.
        won = [advance.saga for advance in batch.advances if self._table.advance(advance, now)]
        won += [start.saga for start in batch.starts if self._table.start(start, now)]
        for message in batch.parked:
            self._parked.park(message, now)
        return Committed(sagas=frozenset(won), now=now)

    async def load(self, since: Mapping[str, int]) -> dict[str, Tail]:
        """See `saga.ports.Journal`."""
        records = self._table.records
        return {saga: tail(saga, records[saga], version) for saga, version in since.items() if saga in records}

    async def find(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """See `saga.ports.Journal`."""
        found = {key: self._table.keys.get(stored_key(key)) for key in keys}
        return {key: known(saga, self._table.records[saga]) for key, saga in found.items() if saga is not None}

    async def count_children(self, roots: Sequence[str]) -> dict[str, int]:
        """See `saga.ports.Journal`."""
        return {root: count for root in roots if (count := self._table.below[root])}

    # -------------------------------------------------------------------------------------------------------- wakes

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[Due]:
        """See `saga.ports.Wakes`."""
        now = self._clock.now()
        return self._table.claim(rows.page_limit(limit), now, now + timedelta(seconds=lease_seconds))

    async def rearm(self, wakes: Mapping[str, tuple[int, datetime | None]]) -> None:
        """See `saga.ports.Wakes`."""
        for saga, (version, when) in wakes.items():
            record = self._table.records.get(saga)
            if record is not None and record.version == version:
                self._table.wake(saga, when)

    async def dispatched(self, versions: Mapping[str, int]) -> None:
        """See `saga.ports.Wakes`."""
        for saga, version in versions.items():
            record = self._table.records.get(saga)
            if record is not None:
                record.dispatched_version = max(record.dispatched_version, version)

    # -------------------------------------------------------------------------------------------------- definitions

    async def publish(self, definition: StoredDefinition) -> None:
        """See `saga.ports.Definitions`."""
        for stored in self._definitions.values():
            if (stored.name, stored.version) == (definition.name, definition.version):
                if stored.hash != definition.hash:
                    raise DefinitionConflict(definition.name, definition.version, stored.hash, definition.hash)
                return
        self._definitions.setdefault(
            definition.hash, msgspec.structs.replace(definition, published_at=self._clock.now())
        )

    async def get(self, hash: str) -> StoredDefinition | None:  # noqa: A002 - the port's word
        """See `saga.ports.Definitions`."""
        return self._definitions.get(hash)

    async def named(self, name: str | None = None) -> Sequence[StoredDefinition]:
        """See `saga.ports.Definitions`."""
        found = [stored for stored in self._definitions.values() if name is None or stored.name == name]
        return sorted(found, key=lambda stored: (stored.name, -stored.version))

    # ------------------------------------------------------------------------------------------------------- lookup

    async def now(self) -> datetime:
        """See `saga.ports.Lookup`."""
        return self._clock.now()

    async def sagas(self, where: SagaFilter) -> Sequence[SagaRow]:
        """See `saga.ports.Lookup`."""
        first = "" if where.started_after is None else rows.first_id_at(where.started_after)
        last = "g" if where.started_before is None else rows.first_id_at(where.started_before)
        if where.before is not None:
            last = min(last, rows.cursor_id(where.before))
        found = (
            listed(saga, record, self._version_of(record.first.definition))
            for saga in self._table.ordered(first, last, where)
            if matches(record := self._table.records[saga], where)
        )
        return list(itertools.islice(found, rows.page_limit(where.limit)))

    async def history(self, saga: str, after: int = 0, limit: int = 1_000) -> Sequence[HistoryRow]:
        """See `saga.ports.Lookup`."""
        record = self._table.records.get(saga)
        after = max(after, 0)
        return [] if record is None else record.history[after : after + rows.page_limit(limit)]

    # ------------------------------------------------------------------------------------------------------- parked

    async def parked(
        self, where: ParkedFilter = EVERY_PARKED, *, before: int | None = None, limit: int = 50
    ) -> Sequence[ParkedRow]:
        """See `saga.ports.ParkedMessages`."""
        return self._parked.page(where, before, limit)

    async def parked_counts(self, newest: int = 1_000) -> Sequence[ParkedCount]:
        """See `saga.ports.ParkedMessages`."""
        return self._parked.counts(newest)

    async def note_parked(self, number: int, action: ParkedAction) -> bool:
        """See `saga.ports.ParkedMessages`."""
        return self._parked.note(number, action, self._clock.now())

    # ------------------------------------------------------------------------------------------------------- census

    async def standing(self) -> Standing:
        """See `saga.ports.Census`."""
        return standing(self._table, self._clock.now())

    # ------------------------------------------------------------------------------------------------------- schema

    async def migrate(self) -> Sequence[str]:
        """Nothing to apply."""
        return []

    async def pending(self) -> Sequence[str]:
        """Nothing is missing."""
        return []

    async def close(self) -> None:
        """Nothing to close: what was stored stays with the object."""

    def _version_of(self, definition: str) -> int:
        stored = self._definitions.get(definition)
        return 0 if stored is None else stored.version
