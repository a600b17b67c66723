"""Writing: plain statements, one after the other, inside the caller's transaction."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime

import msgspec

from saga.adapters.sqlite.connection import microseconds, moment
from saga.adapters.sqlite.parked import json_text, park
from saga.core.errors import DefinitionConflict
from saga.core.rows import indexed_tags, indexed_text, page_limit, stored_message, stored_text
from saga.core.state import View
from saga.ports import Advance, Batch, Due, NewSaga, StoredDefinition

_ADVANCE = """
update sagas
set version = version + 1, status = ?, wait_kind = ?, wait_text = ?, tags = ?,
    wake_at = case ? when 'exact' then ? when 'earlier' then min(coalesce(wake_at, ?), ?) else wake_at end
where id = ? and version = ?
"""
_START = """
insert into sagas (
    id, name, start_key, input_hash, root, parent, definition, version, status, wait_kind, wait_text, tags, wake_at
)
values (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)
on conflict do nothing
"""
_APPEND = "insert into history (saga, version, cause, at, data) values (?, ?, ?, ?, ?)"
_HOLDS = "select data = ? from history where saga = ? and version = ?"
_DUE = "select id, wake_at from sagas where wake_at <= ? order by wake_at, id limit ?"
_WAKE = "update sagas set wake_at = ? where id = ?"
_DISPATCHED = "update sagas set dispatched_version = ? where id = ? and dispatched_version < ?"
_PUBLISH = """
insert into definitions (hash, name, version, canonical, published_at) values (?, ?, ?, ?, ?) on conflict do nothing
"""
_PUBLISHED = "select hash from definitions where name = ? and version = ?"


def write_batch(connection: sqlite3.Connection, batch: Batch, now: datetime) -> list[str]:
    """Write it and return the sagas that won. Advances first: in Postgres they do not see the starts beside them."""
    won = [advance.saga for advance in batch.advances if _advance(connection, advance, now)]
    won += [start.saga for start in batch.starts if _start(connection, start, now)]
    for message in batch.parked:
        park(connection, stored_message(message), now)
    return won


def claim(connection: sqlite3.Connection, limit: int, now: datetime, until: datetime) -> list[Due]:
    """See `Wakes.claim`."""
    due = connection.execute(_DUE, (microseconds(now), page_limit(limit))).fetchall()
    connection.executemany(_WAKE, [(microseconds(until), saga) for saga, _ in due])
    return [Due(saga, moment(wake_at), now) for saga, wake_at in due]


def rearm(connection: sqlite3.Connection, wakes: Mapping[str, tuple[int, datetime | None]]) -> None:
    """See `Wakes.rearm`."""
    changes = [(microseconds(wake_at), stored_text(saga), version) for saga, (version, wake_at) in wakes.items()]
    connection.executemany(f"{_WAKE} and version = ?", changes)


def dispatched(connection: sqlite3.Connection, versions: Mapping[str, int]) -> None:
    """See `Wakes.dispatched`."""
    connection.executemany(_DISPATCHED, [(version, stored_text(saga), version) for saga, version in versions.items()])


def publish(connection: sqlite3.Connection, definition: StoredDefinition, now: datetime) -> None:
    """See `Definitions.publish`. Raises DefinitionConflict."""
    name, content = stored_text(definition.name), stored_text(definition.hash)
    connection.execute(_PUBLISH, (content, name, definition.version, definition.canonical, microseconds(now)))
    for (stored,) in connection.execute(_PUBLISHED, (name, definition.version)):
        if stored != content:
            raise DefinitionConflict(name, definition.version, stored, content)


def _advance(connection: sqlite3.Connection, advance: Advance, now: datetime) -> bool:
    wake_at = None if isinstance(advance.wake_at, msgspec.UnsetType) else microseconds(advance.wake_at)
    alarm = (advance.alarm, wake_at, wake_at, wake_at)
    place = (advance.saga, advance.expected_version)
    if connection.execute(_ADVANCE, (*_columns(advance.view), *alarm, *place)).rowcount == 0:
        return _holds(connection, advance.saga, advance.expected_version + 1, advance.data)
    version = advance.expected_version + 1
    connection.execute(_APPEND, (advance.saga, version, stored_text(advance.cause), microseconds(now), advance.data))
    return True


def _start(connection: sqlite3.Connection, start: NewSaga, now: datetime) -> bool:
    key = (indexed_text(start.name), indexed_text(start.start_key))
    identity = (start.saga, *key, start.input_hash, start.root, start.parent, stored_text(start.definition))
    row = (*identity, *_columns(start.view), microseconds(start.wake_at))
    if connection.execute(_START, row).rowcount == 0:
        return _holds(connection, start.saga, 1, start.data)
    connection.execute(_APPEND, (start.saga, 1, stored_text(start.cause), microseconds(now), start.data))
    return True


def _holds(connection: sqlite3.Connection, saga: str, version: int, data: bytes) -> bool:
    """Whether that commit is this very one: an earlier try whose answer was lost."""
    return bool(connection.execute(_HOLDS, (data, saga, version)).fetchone() == (1,))


def _columns(view: View) -> tuple[str, str, str, str]:
    return (
        indexed_text(view.status),
        indexed_text(view.wait_kind),
        stored_text(view.wait_text),
        json_text(indexed_tags(view.tags)),
    )
