"""Parked messages: kept, listed, and what operators did with them."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from saga.adapters.sqlite.connection import microseconds, moment
from saga.core.rows import ROW_NUMBER_MAX, content_digest, page_limit, row_number, stored_mapping, stored_text
from saga.ports import ParkedAction, ParkedCount, ParkedFilter, ParkedMessage, ParkedRow

_PARK = """
insert into parked (
    at, digest, origin, reason, detail, exchange, routing_key, body,
    headers, message_id, correlation_id, type, reply_to, sender
)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do nothing
"""
_ROWS = """
select
    id, at, origin, reason, detail, exchange, routing_key, body,
    headers, message_id, correlation_id, type, reply_to, sender, settled
from parked
where id < ?{conditions}
order by id{direction}
limit ?
"""
_COUNTS = """
select origin, reason, count(*), min(id), min(at)
from (select id, at, origin, reason from parked where settled is null order by id desc limit ?)
group by origin, reason
order by count(*) desc, reason, origin
"""
_ACTIONS = "select parked, verb, actor, reason, at from parked_actions where parked in ({numbers}) order by parked, id"
_SETTLE = "update parked set digest = null, settled = case when ? = 'redriving' then settled else ? end where id = ?"
_NOTE = "insert into parked_actions (parked, at, verb, actor, reason) values (?, ?, ?, ?, ?)"


def park(connection: sqlite3.Connection, message: ParkedMessage, now: datetime) -> None:
    """Keep it, unless it is kept already."""
    digest = content_digest(message) if message.message_id else None
    place = (message.origin, message.reason, message.detail, message.exchange, message.routing_key)
    names = (message.message_id, message.correlation_id, message.type, message.reply_to, message.sender)
    row = (microseconds(now), digest, *place, message.body, json_text(message.headers), *names)
    connection.execute(_PARK, row)


def rows_of(connection: sqlite3.Connection, where: ParkedFilter, before: int | None, limit: int) -> list[ParkedRow]:
    """See `ParkedMessages.parked`."""
    conditions, arguments = _conditions(where)
    sql = _ROWS.format(conditions=conditions, direction=" desc" if where.after is None else "")
    last = ROW_NUMBER_MAX if before is None else row_number(before)
    found = connection.execute(sql, [last, *arguments, page_limit(limit)]).fetchall()
    actions: dict[int, list[ParkedAction]] = {}
    noted = _ACTIONS.format(numbers=", ".join("?" * len(found)))
    for number, verb, actor, reason, at in connection.execute(noted, [row[0] for row in found]):
        actions.setdefault(number, []).append(ParkedAction(verb, actor, reason, moment(at)))
    return [_row(row, actions) for row in found]


def counts(connection: sqlite3.Connection, newest: int) -> list[ParkedCount]:
    """See `ParkedMessages.parked_counts`."""
    found = connection.execute(_COUNTS, (page_limit(newest),))
    return [ParkedCount(origin, reason, count, first, moment(at)) for origin, reason, count, first, at in found]


def note(connection: sqlite3.Connection, number: int, action: ParkedAction, now: datetime) -> bool:
    """See `ParkedMessages.note_parked`."""
    if connection.execute(_SETTLE, (action.verb, action.verb, row_number(number))).rowcount == 0:
        return False
    said = (stored_text(action.actor), stored_text(action.reason))
    connection.execute(_NOTE, (number, microseconds(now), action.verb, *said))
    return True


def json_text(mapping: Mapping[str, str]) -> str:
    """Tags or headers as their column keeps them."""
    return msgspec.json.encode(stored_mapping(mapping)).decode()


def _conditions(where: ParkedFilter) -> tuple[str, list[object]]:
    numbers = ", ".join("?" * len(where.ids))
    given: list[tuple[str, Sequence[object]]] = [
        (f"id in ({numbers})", [row_number(number) for number in where.ids]),
        ("origin = ?", [] if where.origin is None else [stored_text(where.origin)]),
        ("reason = ?", [] if where.reason is None else [stored_text(where.reason)]),
        ("id > ?", [] if where.after is None else [row_number(where.after)]),
    ]
    wanted = [(text, values) for text, values in given if values]
    texts = [text for text, _ in wanted]
    if where.settled is not None:
        texts.append("settled is not null" if where.settled else "settled is null")
    return "".join(f" and {text}" for text in texts), [value for _, values in wanted for value in values]


def _row(row: Sequence[Any], actions: Mapping[int, list[ParkedAction]]) -> ParkedRow:
    number, at, *place, body, headers, message_id, correlation_id, kind, reply_to, sender, settled = row
    origin, reason, detail, exchange, routing_key = place
    message = ParkedMessage(
        origin=origin,
        reason=reason,
        detail=detail,
        exchange=exchange,
        routing_key=routing_key,
        body=body,
        headers=msgspec.json.decode(headers, type=dict[str, str]),
        message_id=message_id,
        correlation_id=correlation_id,
        type=kind,
        reply_to=reply_to,
        sender=sender,
    )
    return ParkedRow(number, moment(at), message, settled, tuple(actions.get(number, ())))
