"""What really happened to an order, counted in the ledgers of services and world; the engine is not asked."""

import importlib
from decimal import Decimal
from typing import Any

import msgspec

from saga.bootstrap import open_database
from saga.demo.town import Town


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One order, as the world sees it."""

    held_units: int
    charges: int
    """Charges ever made, refunded ones too."""
    refunds: int
    paid: Decimal
    """Less what was paid back."""
    bookings: int
    mails: int
    undone: tuple[str, ...]
    """Steps, in the order their undos happened."""


class Check(msgspec.Struct, frozen=True):
    """Something that was looked up, and whether it is as it must be."""

    text: str
    is_true: bool


async def facts(town: Town, order_id: str) -> Facts:
    """Look an order up. Raises Unavailable."""
    held = await _rows(
        town.database("inventory"),
        "select coalesce(sum(unit_count), 0) from reservations where order_id = $1 and state = 'held'",
        order_id,
    )
    payments = town.database("payments")
    paid = await _rows(
        payments,
        "select coalesce(-sum(amount_cents), 0) from entries where account = $1",
        f"card:{order_id}",
    )
    effects: list[tuple[Any, ...]] = []
    for service in ("inventory", "payments"):
        sql = f"select at_ns, step, kind from {service}_effects where subject = $1"  # noqa: S608 - the names are ours
        effects += await _rows(town.database(service), sql, order_id)
    done = [step.rpartition("/")[2] for _, step, kind in effects if kind == "do"]
    undone = tuple(step.rpartition("/")[2] for _, step, kind in sorted(effects) if kind == "undo")
    books = importlib.import_module("services.world.books")
    return Facts(
        held_units=int(held[0][0]),
        charges=done.count("charge"),
        refunds=undone.count("charge"),
        paid=Decimal(int(paid[0][0])).scaleb(-2),
        bookings=sum(line["order_id"] == order_id for line in books.read(town.folder / "carrier.jsonl", "book")),
        mails=sum(line["reference"] == order_id for line in books.read(town.folder / "mail.jsonl", "mail")),
        undone=undone,
    )


def delivered(found: Facts, total: Decimal) -> list[Check]:
    """An order that went through: everything once."""
    return [
        Check(f"stock: {found.held_units} pieces held", found.held_units > 0),
        Check(f"payments: {found.charges} charge, {found.paid} paid", (found.charges, found.paid) == (1, total)),
        Check(
            f"carrier: {found.bookings} booking; mail server: {found.mails} mail", found.bookings == found.mails == 1
        ),
    ]


def undone(found: Facts) -> list[Check]:
    """An order that was turned back: nothing stands, and the newest was undone first."""
    order = ", then ".join(found.undone)
    return [
        Check(f"undone: {order}: the newest first", found.undone == ("charge", "reserve")),
        Check(
            f"payments: {found.charges} charge, {found.refunds} refund, {found.paid} paid",
            (found.charges, found.refunds, found.paid) == (1, 1, Decimal(0)),
        ),
        Check(f"stock: {found.held_units} pieces held", found.held_units == 0),
        Check(
            f"carrier: {found.bookings} bookings; mail server: {found.mails} mails", not found.bookings + found.mails
        ),
    ]


async def _rows(url: str, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
    database = await open_database(url)
    try:
        async with database.begin() as tx:
            return await tx.execute(sql, *arguments)
    finally:
        await database.close()
