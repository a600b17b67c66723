"""Parked messages: a filter turned into conditions with parameters, and records turned into values."""

from collections.abc import Iterable, Mapping, Sequence

import asyncpg
import msgspec

from saga.core.rows import ROW_NUMBER_MAX, page_limit, row_number, stored_text
from saga.ports import ParkedAction, ParkedCount, ParkedFilter, ParkedMessage, ParkedRow


def filtered_parked(sql: str, where: ParkedFilter, before: int | None, limit: int) -> tuple[str, list[object]]:
    """The statement with the conditions of the filter, and its parameters."""
    last = ROW_NUMBER_MAX if before is None else row_number(before)
    given: list[tuple[str, object]] = [
        ("p.id = any({}::bigint[])", [row_number(number) for number in where.ids] if where.ids else None),
        ("p.origin = {}", None if where.origin is None else stored_text(where.origin)),
        ("p.reason = {}", None if where.reason is None else stored_text(where.reason)),
        ("p.id > {}::bigint", None if where.after is None else row_number(where.after)),
    ]
    wanted = [(text, value) for text, value in given if value is not None]
    conditions = [text.format(f"${number}") for number, (text, _) in enumerate(wanted, start=3)]
    if where.settled is not None:
        conditions.append("p.settled is not null" if where.settled else "p.settled is null")
    sql = sql.replace("/* conditions */", "".join(f" and {condition}" for condition in conditions))
    if where.after is not None:
        sql = sql.replace("/* order */ p.id desc", "p.id")
    return sql, [last, page_limit(limit), *(value for _, value in wanted)]


def parked_rows(records: Iterable[asyncpg.Record], actions: Sequence[asyncpg.Record]) -> list[ParkedRow]:
    """Records of sql/parked.sql with those of sql/parked_actions.sql."""
    done: dict[int, list[ParkedAction]] = {}
    for record in actions:
        action = ParkedAction(record["verb"], record["actor"], record["reason"], record["at"])
        done.setdefault(record["parked"], []).append(action)
    return [_row(record, done) for record in records]


def parked_count(record: asyncpg.Record) -> ParkedCount:
    """A record of sql/parked_counts.sql."""
    return ParkedCount(record["origin"], record["reason"], record["count"], record["oldest_id"], record["oldest_at"])


def _row(record: asyncpg.Record, done: Mapping[int, list[ParkedAction]]) -> ParkedRow:
    message = ParkedMessage(
        origin=record["origin"],
        reason=record["reason"],
        detail=record["detail"],
        exchange=record["exchange"],
        routing_key=record["routing_key"],
        body=record["body"],
        headers=msgspec.json.decode(record["headers"], type=dict[str, str]),
        message_id=record["message_id"],
        correlation_id=record["correlation_id"],
        type=record["type"],
        reply_to=record["reply_to"],
        sender=record["sender"],
    )
    return ParkedRow(record["id"], record["at"], message, record["settled"], tuple(done.get(record["id"], ())))
