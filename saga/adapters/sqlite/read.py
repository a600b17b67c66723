"""Reading: what the ports ask, as plain statements."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from saga.adapters.sqlite.connection import microseconds, moment, optional_moment
from saga.core import rows
from saga.ports import HistoryRow, Known, OldestWait, OpenCount, SagaFilter, SagaRow, Standing, StoredDefinition, Tail
from saga.ports.census import OLDEST_LOOKED_AT

_TAIL = "select name, definition, version, wake_at, dispatched_version from sagas where id = ?"
_COMMITS = "select data from history where saga = ? and version > ? order by version"
_KNOWN = "select id, name, start_key, input_hash, version, status from sagas where name = ? and start_key = ?"
_CHILDREN = "select count(*) from sagas where parent is not null and root = ?"
_HISTORY = "select saga, version, cause, at, data from history where saga = ? and version > ? order by version limit ?"
_SAGAS = """
select
    s.id, s.name, s.start_key, s.definition, coalesce(d.version, 0), s.version,
    s.status, s.wait_kind, s.wait_text, s.tags, s.root, s.parent, s.wake_at, s.dispatched_version
from sagas s
left join definitions d on d.hash = s.definition
where {conditions}
order by {order}
limit ?
"""
_WAITS = "s.wait_kind <> '' and s.wait_kind = ?"
"""The first half says nothing new, but the index holds only sagas of which it is true."""
_OPEN = "select name, status, wait_kind, count(*) from sagas where wait_kind <> '' group by name, status, wait_kind"
_OLDEST = """
select min(h.at)
from (select id, version from sagas where wait_kind <> '' and wait_kind = ? order by id limit ?) s
join history h on h.saga = s.id and h.version = s.version
"""
_DEFINITIONS = "select hash, name, version, canonical, published_at from definitions"


def tails(connection: sqlite3.Connection, since: Mapping[str, int]) -> dict[str, Tail]:
    """See `Journal.load`."""
    found = {}
    for saga, version in since.items():
        row = connection.execute(_TAIL, (rows.stored_text(saga),)).fetchone()
        if row is not None:
            name, definition, current, wake_at, dispatched = row
            commits = tuple(data for (data,) in connection.execute(_COMMITS, (saga, version)))
            found[saga] = Tail(saga, name, definition, current, optional_moment(wake_at), dispatched, commits)
    return found


def known(connection: sqlite3.Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
    """See `Journal.find`."""
    found = {}
    for key in keys:
        row = connection.execute(_KNOWN, (rows.indexed_text(key[0]), rows.indexed_text(key[1]))).fetchone()
        if row is not None:
            found[key] = Known(*row)
    return found


def count_children(connection: sqlite3.Connection, roots: Sequence[str]) -> dict[str, int]:
    """See `Journal.count_children`."""
    counts = ((root, connection.execute(_CHILDREN, (rows.stored_text(root),)).fetchone()[0]) for root in roots)
    return {root: count for root, count in counts if count}


def definition(connection: sqlite3.Connection, content: str) -> StoredDefinition | None:
    """See `Definitions.get`."""
    row = connection.execute(f"{_DEFINITIONS} where hash = ?", (rows.stored_text(content),)).fetchone()
    return None if row is None else _definition(row)


def definitions(connection: sqlite3.Connection, name: str | None) -> list[StoredDefinition]:
    """See `Definitions.named`."""
    wanted = None if name is None else rows.stored_text(name)
    sql = f"{_DEFINITIONS} where ? is null or name = ? order by name, version desc"
    return [_definition(row) for row in connection.execute(sql, (wanted, wanted))]


def sagas(connection: sqlite3.Connection, where: SagaFilter) -> list[SagaRow]:
    """See `Lookup.sagas`. Raises ValueError for a cursor that is no saga id."""
    conditions, arguments = _conditions(where)
    order = "s.wake_at, s.id" if where.due_before else "s.id" if where.oldest_first else "s.id desc"
    sql = _SAGAS.format(conditions=" and ".join(conditions) or "true", order=order)
    return [_saga(row) for row in connection.execute(sql, [*arguments, rows.page_limit(where.limit)])]


def standing(connection: sqlite3.Connection, now: datetime) -> Standing:
    """See `Census.standing`."""
    found = tuple(OpenCount(*row) for row in connection.execute(_OPEN))
    kinds = sorted({each.wait_kind for each in found})
    since = ((kind, connection.execute(_OLDEST, (kind, OLDEST_LOOKED_AT)).fetchone()[0]) for kind in kinds)
    return Standing(now, found, tuple(OldestWait(kind, moment(at)) for kind, at in since if at is not None))


def history(connection: sqlite3.Connection, saga: str, after: int, limit: int) -> list[HistoryRow]:
    """See `Lookup.history`."""
    found = connection.execute(_HISTORY, (rows.stored_text(saga), after, rows.page_limit(limit)))
    return [HistoryRow(saga, version, cause, moment(at), data) for saga, version, cause, at, data in found]


def _conditions(where: SagaFilter) -> tuple[list[str], list[object]]:
    ids, statuses = (", ".join("?" * len(values)) for values in (where.ids, where.statuses))
    given: list[tuple[str, Sequence[object]]] = [
        (f"s.id in ({ids})", [rows.stored_text(saga) for saga in where.ids]),
        ("s.name = ?", [] if where.name is None else [rows.indexed_text(where.name)]),
        (f"s.status in ({statuses})", [rows.indexed_text(status) for status in where.statuses]),
        (
            _WAITS if where.wait_kind else "s.wait_kind = ?",
            [] if where.wait_kind is None else [rows.indexed_text(where.wait_kind)],
        ),
        ("s.start_key = ?", [] if where.start_key is None else [rows.indexed_text(where.start_key)]),
        ("s.parent is not null and s.root = ?", [] if where.root is None else [rows.stored_text(where.root)]),
        ("s.id >= ?", [] if where.started_after is None else [rows.first_id_at(where.started_after)]),
        ("s.id < ?", [] if where.started_before is None else [rows.first_id_at(where.started_before)]),
        ("s.id < ?", [] if where.before is None else [rows.cursor_id(where.before)]),
        ("s.wake_at < ?", [] if where.due_before is None else [microseconds(where.due_before)]),
    ]
    given += [
        ("exists (select 1 from json_each(s.tags) t where t.key = ? and t.value = ?)", tag)
        for tag in rows.indexed_tags(where.tags).items()
    ]
    wanted = [(text, values) for text, values in given if values]
    conditions = [text for text, _ in wanted] + (["s.parent is null"] if where.roots_only else [])
    return conditions, [value for _, values in wanted for value in values]


def _definition(row: tuple[str, str, int, bytes, int]) -> StoredDefinition:
    content, name, version, canonical, published_at = row
    return StoredDefinition(content, name, version, canonical, moment(published_at))


def _saga(row: Sequence[Any]) -> SagaRow:
    *leading, tags, root, parent, wake_at, dispatched_version = row
    saga, name, start_key, definition_hash, definition_version, version, status, wait_kind, wait_text = leading
    return SagaRow(
        saga=saga,
        name=name,
        start_key=start_key,
        definition=definition_hash,
        definition_version=definition_version,
        version=version,
        status=status,
        wait_kind=wait_kind,
        wait_text=wait_text,
        tags=msgspec.json.decode(tags, type=dict[str, str]),
        root=root,
        parent=parent,
        started_at=rows.started_at(saga),
        wake_at=optional_moment(wake_at),
        dispatched_version=dispatched_version,
    )
