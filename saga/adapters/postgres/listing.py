"""Pages of sagas: a filter turned into conditions with parameters, and records turned into values."""

import asyncpg
import msgspec

from saga.adapters.postgres.arguments import json_text
from saga.core.rows import cursor_id, first_id_at, indexed_tags, indexed_text, is_saga_id, page_limit, started_at
from saga.ports import HistoryRow, SagaFilter, SagaRow

NO_ID = "00000000-0000-0000-0000-000000000000"

_PAGE = "select s.* from sagas s where {conditions} order by {order} limit $1"
_PAGES = (
    "select s.* from unnest({statuses}::text[]) as given (status) cross join lateral ({page}) s"
    " order by {order} limit $1"
)
"""The first of the pages of each status: of one an index has them in order, of several at once none has."""

_WAITS = "s.wait_kind <> '' and s.wait_kind = {}"
"""Here and of tags the first half says nothing new, but the index holds only sagas of which it is true."""


def filtered(sql: str, where: SagaFilter) -> tuple[str, list[object]]:
    """The statement with the page that the filter asks for, and its parameters; only what is set is in it, so that each
    combination gets a plan of its own."""
    statuses = [indexed_text(status) for status in dict.fromkeys(where.statuses)]
    given: list[tuple[str, object]] = [
        ("s.id = any({}::uuid[])", [saga for saga in where.ids if is_saga_id(saga)] if where.ids else None),
        ("s.name = {}", where.name and indexed_text(where.name)),
        ("s.status = {}", statuses[0] if len(statuses) == 1 else None),
        (_WAITS if where.wait_kind else "s.wait_kind = {}", where.wait_kind and indexed_text(where.wait_kind)),
        ("s.start_key = {}", where.start_key and indexed_text(where.start_key)),
        ("s.tags <> '{{}}' and s.tags @> {}::jsonb", json_text(indexed_tags(where.tags)) if where.tags else None),
        ("s.parent is not null and s.root = {}::uuid", None if where.root is None else _id_or_none(where.root)),
        ("s.id >= {}::uuid", where.started_after and first_id_at(where.started_after)),
        ("s.id < {}::uuid", where.started_before and first_id_at(where.started_before)),
        ("s.id < {}::uuid", None if where.before is None else cursor_id(where.before)),
        ("s.wake_at < {}::timestamptz", where.due_before),
    ]
    wanted = [(text, value) for text, value in given if value is not None]
    conditions = [text.format(f"${number}") for number, (text, _) in enumerate(wanted, start=2)]
    conditions += ["s.parent is null"] if where.roots_only else []
    conditions += ["s.status = given.status"] if len(statuses) > 1 else []
    arguments = [page_limit(where.limit), *(value for _, value in wanted)]
    order = "s.wake_at, s.id" if where.due_before is not None else "s.id" if where.oldest_first else "s.id desc"
    page = _PAGE.format(conditions=" and ".join(conditions) or "true", order=order)
    if len(statuses) > 1:
        arguments.append(statuses)
        page = _PAGES.format(statuses=f"${len(arguments)}", page=page, order=order)
    return sql.replace("/* page */", page).replace("/* order */", order), arguments


def _id_or_none(root: str) -> str:
    """An id that a saga can have: of what is none there are no children."""
    return root if is_saga_id(root) else NO_ID


def saga_row(record: asyncpg.Record) -> SagaRow:
    """A record of sql/sagas.sql."""
    saga = str(record["id"])
    return SagaRow(
        saga=saga,
        name=record["name"],
        start_key=record["start_key"],
        definition=record["definition"],
        definition_version=record["definition_version"],
        version=record["version"],
        status=record["status"],
        wait_kind=record["wait_kind"],
        wait_text=record["wait_text"],
        tags=msgspec.json.decode(record["tags"], type=dict[str, str]),
        root=str(record["root"]),
        parent=None if record["parent"] is None else str(record["parent"]),
        started_at=started_at(saga),
        wake_at=record["wake_at"],
        dispatched_version=record["dispatched_version"],
    )


def history_row(record: asyncpg.Record) -> HistoryRow:
    """A record of sql/history.sql."""
    return HistoryRow(str(record["saga"]), record["version"], record["cause"], record["at"], record["data"])
