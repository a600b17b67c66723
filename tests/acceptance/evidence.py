"""Fetches what the auditor judges by: ledgers of services and world, the caller's log, and how each saga stands.

Everything is read with plain SQL and plain files. Of the engine's store it takes the status of each saga and, for the
parked ones, which step and since when; no effect is taken from it.
"""

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from services.world import books
from tests.acceptance.audit import Asked, Effect, End, Evidence, Kill

SQLITE = "sqlite:///"
MAIL_STEP, BOOK_STEP = "confirm", "book"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is. Databases are `postgres://…` or `sqlite:///path`."""

    store: str
    inventory: str
    payments: str
    inboxes: tuple[str, ...]
    """Databases that hold a service's inbox."""
    carrier: Path
    mail: Path
    log: Path
    """Of the load driver."""


async def gather(places: Places, kills: tuple[Kill, ...] = ()) -> Evidence:
    """Read everything there is; call it when nothing moves any more."""
    effects = await _service_effects(places.inventory, "inventory")
    effects += await _service_effects(places.payments, "payments")
    shelf = await rows(places.inventory, "select coalesce(sum(counted - available), 0) from stock")
    held = await rows(places.inventory, "select coalesce(sum(unit_count), 0) from reservations where state = 'held'")
    accounts = await rows(places.payments, "select name, balance_cents from accounts")
    entries = await rows(places.payments, "select transfer, account, amount_cents from entries")
    tombstones = [
        await rows(place, "select count(*) from saga_inbox where status = 'cancelled'") for place in set(places.inboxes)
    ]
    return Evidence(
        asked=asked_of(books.read(places.log)),
        ends=await ends_of(places.store),
        effects=(*effects, *carrier_effects(books.read(places.carrier)), *mail_effects(books.read(places.mail))),
        missing_units=int(shelf[0][0]),
        held_units=int(held[0][0]),
        balances={str(name): int(cents) for name, cents in accounts},
        entries=tuple((str(transfer), str(account), int(cents)) for transfer, account, cents in entries),
        kills=kills,
        tombstone_count=sum(int(found[0][0]) for found in tombstones),
    )


def asked_of(lines: list[dict[str, Any]]) -> tuple[Asked, ...]:
    """The accepted orders in a driver's log, once for each saga that was named."""
    asked = {line["order"]: line for line in lines if line["kind"] == "asked"}
    return tuple(
        Asked(
            order=line["order"],
            saga=line["saga"],
            total_cents=asked[line["order"]]["total_cents"],
            unit_count=asked[line["order"]]["unit_count"],
        )
        for line in lines
        if line["kind"] == "accepted"
    )


def carrier_effects(lines: list[dict[str, Any]]) -> list[Effect]:
    """Bookings and cancellations on the carrier's books."""
    return [
        Effect(
            service="carrier",
            step=BOOK_STEP,
            kind="do" if line["kind"] == "book" else "undo",
            key=line["reference"],
            order=line["order_id"],
            at_ns=line["at_ns"],
            sequence=line["sequence"],
        )
        for line in lines
        if line["kind"] in {"book", "cancel"}
    ]


def mail_effects(lines: list[dict[str, Any]]) -> list[Effect]:
    """Mails the sink took."""
    return [
        Effect(
            service="mailsink",
            step=MAIL_STEP,
            kind="do",
            key=line["idempotency_key"],
            order=line["reference"],
            at_ns=line["at_ns"],
            sequence=line["sequence"],
        )
        for line in lines
        if line["kind"] == "mail"
    ]


async def ends_of(store: str, name: str = "order") -> tuple[End, ...]:
    """How every order stands, or every saga of another name."""
    found = await rows(store, "select id, start_key, status, wait_text from sagas where name = $1", name)
    ends = []
    for saga, start_key, status, why in found:
        known = {"running": "running", "compensating": "running"}.get(status, status)
        end = End(order=start_key.partition(":")[2], saga=str(saga), status=known, why=why)
        ends.append(await _with_doubt(store, end) if status == "parked" else end)
    return tuple(ends)


async def _with_doubt(store: str, end: End) -> End:
    """The step that is parked, from the saga's own history."""
    history = await rows(store, "select at, data from history where saga = $1 order by version", end.saga)
    issued: dict[str, int] = {}
    for at, data in history:
        for event in msgspec.json.decode(data):
            if event["event"] == "CommandIssued":
                issued.setdefault(event["path"], _nanoseconds(at))
            elif event["event"] == "StepParked":
                end = msgspec.structs.replace(
                    end,
                    step=_step(event["path"]),
                    code=event["code"],
                    issued_ns=issued.get(event["path"], 0),
                    parked_ns=_nanoseconds(at),
                )
    return end


async def _service_effects(database: str, service: str) -> list[Effect]:
    found = await rows(
        database,
        f"select step, kind, idempotency_key, subject, detail, at_ns, sequence from {service}_effects",
    )
    return [
        Effect(
            service=service,
            step=_step(step),
            kind=kind,
            key=key,
            order=subject,
            at_ns=at_ns,
            sequence=sequence,
            amount=int(detail.split()[-1]),  # the last word is what moved, in pieces or cents
        )
        for step, kind, key, subject, detail, at_ns, sequence in found
    ]


async def rows(database: str, sql: str, *arguments: str) -> list[tuple[Any, ...]]:
    """Run one query with `$1` parameters."""
    if database.startswith(SQLITE):
        connection = sqlite3.connect(f"file:{database.removeprefix(SQLITE)}?mode=ro", uri=True)
        try:
            return connection.execute(sql.replace("$1", "?1"), arguments).fetchall()
        finally:
            connection.close()
    asked = await asyncpg.connect(database)
    try:
        return [tuple(record) for record in await asked.fetch(sql, *arguments)]
    finally:
        await asked.close()


def _nanoseconds(at: datetime | int) -> int:
    """The store's time: `timestamptz` in Postgres, microseconds in SQLite."""
    return at * 1_000 if isinstance(at, int) else int(at.timestamp() * 1_000_000) * 1_000


def _step(path: str) -> str:
    return path.rpartition("/")[2]
