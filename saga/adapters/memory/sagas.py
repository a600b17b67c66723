"""The saga rows in memory: compare-and-swap, history, the heap of wakes, and the row a list shows."""

import heapq
from collections import Counter
from datetime import datetime

import msgspec

from saga.core import rows
from saga.core.state import View
from saga.ports import (
    Advance,
    Due,
    HistoryRow,
    Known,
    NewSaga,
    OldestWait,
    OpenCount,
    SagaFilter,
    SagaRow,
    Standing,
    Tail,
)
from saga.ports.census import OLDEST_LOOKED_AT


class SagaRecord(msgspec.Struct):
    """A saga's row and its history."""

    name: str
    start_key: str
    first: NewSaga
    view: View
    history: list[HistoryRow]
    wake_at: datetime | None = None
    dispatched_version: int = 0

    @property
    def version(self) -> int:
        """Of its last commit."""
        return len(self.history)


class SagaTable:
    """Every saga by id and by start key, and when to look at it."""

    def __init__(self) -> None:
        self.records: dict[str, SagaRecord] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.below: Counter[str] = Counter()
        """Sagas below each root."""
        self.log: list[HistoryRow] = []
        """Every commit, in order."""
        self._wakes: list[tuple[datetime, str]] = []
        """A heap of what was ever set; an entry that is not the saga's `wake_at` any more is dropped when met."""

    def start(self, start: NewSaga, now: datetime) -> bool:
        """Insert, unless the id or the key is taken; the very same start was an earlier try and counts as won."""
        key = stored_key((start.name, start.start_key))
        if start.saga in self.records:
            return holds(self.records[start.saga], 0, start.data)
        if key in self.keys:
            return False
        self.keys[key] = start.saga
        if start.parent is not None:
            self.below[start.root] += 1
        commit = HistoryRow(start.saga, 1, rows.stored_text(start.cause), now, start.data)
        self.log.append(commit)
        self.records[start.saga] = SagaRecord(
            name=key[0],
            start_key=key[1],
            first=start,
            view=rows.stored_view(start.view),
            history=[commit],
        )
        self.wake(start.saga, start.wake_at)
        return True

    def advance(self, advance: Advance, now: datetime) -> bool:
        """Append, if the saga stands at the expected version; the very same commit counts as won."""
        record = self.records.get(advance.saga)
        if record is None:
            return False
        if record.version != advance.expected_version:
            return holds(record, advance.expected_version, advance.data)
        cause = rows.stored_text(advance.cause)
        commit = HistoryRow(advance.saga, record.version + 1, cause, now, advance.data)
        self.log.append(commit)
        record.history.append(commit)
        record.view = rows.stored_view(advance.view)
        if advance.alarm != "kept" and not isinstance(advance.wake_at, msgspec.UnsetType):
            known, wanted = record.wake_at, advance.wake_at
            stays = advance.only_earlier and known is not None and wanted is not None and known <= wanted
            self.wake(advance.saga, known if stays else wanted)
        return True

    def wake(self, saga: str, when: datetime | None) -> None:
        """Write `wake_at`."""
        self.records[saga].wake_at = when
        if when is not None:
            heapq.heappush(self._wakes, (when, saga))

    def claim(self, limit: int, now: datetime, until: datetime) -> list[Due]:
        """Sagas that are due, earliest first, pushed out."""
        due: list[Due] = []
        while len(due) < limit and self._wakes and self._wakes[0][0] <= now:
            when, saga = heapq.heappop(self._wakes)
            if self.records[saga].wake_at == when:
                due.append(Due(saga, when, now))
                self.records[saga].wake_at = None  # a second entry of the same moment is not due again
        for one in due:
            self.wake(one.saga, until)
        return due

    def ordered(self, first: str, last: str, where: SagaFilter) -> list[str]:
        """Ids from `first` to below `last`, in the order of the filter; if it names any, only those."""
        known = self.records.keys() & where.ids if where.ids else self.records
        found = sorted((saga for saga in known if first <= saga < last), reverse=not where.oldest_first)
        if where.due_before is None:
            return found
        due = [(when, saga) for saga in found if (when := self.records[saga].wake_at) and when < where.due_before]
        return [saga for _, saga in sorted(due)]


def stored_key(key: tuple[str, str]) -> tuple[str, str]:
    """Name and start key as they are kept."""
    return rows.indexed_text(key[0]), rows.indexed_text(key[1])


def holds(record: SagaRecord, version: int, data: bytes) -> bool:
    """Whether the commit after `version` is this very one: an earlier try whose answer was lost."""
    return 0 <= version < record.version and record.history[version].data == data


def tail(saga: str, record: SagaRecord, since: int) -> Tail:
    """See `Journal.load`."""
    return Tail(
        saga=saga,
        name=record.name,
        definition=record.first.definition,
        version=record.version,
        wake_at=record.wake_at,
        dispatched_version=record.dispatched_version,
        commits=tuple(commit.data for commit in record.history[max(since, 0) :]),
    )


def known(saga: str, record: SagaRecord) -> Known:
    """See `Journal.find`."""
    return Known(
        saga=saga,
        name=record.name,
        start_key=record.start_key,
        input_hash=record.first.input_hash,
        version=record.version,
        status=record.view.status,
    )


def listed(saga: str, record: SagaRecord, definition_version: int) -> SagaRow:
    """See `Lookup.sagas`."""
    return SagaRow(
        saga=saga,
        name=record.name,
        start_key=record.start_key,
        definition=rows.stored_text(record.first.definition),
        definition_version=definition_version,
        version=record.version,
        status=record.view.status,
        wait_kind=record.view.wait_kind,
        wait_text=record.view.wait_text,
        tags=record.view.tags,
        root=record.first.root,
        parent=record.first.parent,
        started_at=rows.started_at(saga),
        wake_at=record.wake_at,
        dispatched_version=record.dispatched_version,
    )


def standing(table: SagaTable, now: datetime) -> Standing:
    """See `Census.standing`."""
    open_: Counter[tuple[str, str, str]] = Counter()
    moved: dict[str, list[datetime]] = {}
    for _, record in sorted(table.records.items()):
        if kind := record.view.wait_kind:
            open_[record.name, record.view.status, kind] += 1
            moved.setdefault(kind, []).append(record.history[-1].at)
    return Standing(
        now,
        tuple(OpenCount(*key, count) for key, count in open_.items()),
        tuple(OldestWait(kind, min(since[:OLDEST_LOOKED_AT])) for kind, since in moved.items()),
    )


def matches(record: SagaRecord, where: SagaFilter) -> bool:
    """Whether every field of the filter that is set, ids and times apart, fits."""
    wanted = [
        (where.name, record.name),
        (where.wait_kind, record.view.wait_kind),
        (where.start_key, record.start_key),
    ]
    return (
        all(want is None or rows.indexed_text(want) == have for want, have in wanted)
        and (where.root is None or (record.first.parent is not None and record.first.root == where.root))
        and (not where.roots_only or record.first.parent is None)
        and (not where.statuses or record.view.status in map(rows.indexed_text, where.statuses))
        and rows.indexed_tags(where.tags).items() <= record.view.tags.items()
    )
