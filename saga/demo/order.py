"""The acts of `order`: one that completes, one that is undone, and one whose process is killed in the worst place."""

from decimal import Decimal
from pathlib import Path

import msgspec

from saga.demo import examples, ledgers
from saga.demo.ledgers import Check
from saga.demo.stage import Act, Stage
from saga.demo.town import Town

TOTAL = Decimal("42.00")


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


async def completes(stage: Stage, order_id: str) -> tuple[str, bool]:
    """Act one."""
    stage.title("1  an order that goes through")
    saga = await stage.start(_order(order_id))
    await stage.follow(saga)
    return saga, stage.tell(delivered(await facts(stage.town, order_id), TOTAL))


async def is_undone(stage: Stage, order_id: str) -> tuple[str, bool]:
    """Act two."""
    stage.title("2  the carrier refuses late: what was done is undone, newest first")
    saga = await stage.start(_order(order_id, country="AQ"))
    await stage.follow(saga)
    return saga, stage.tell(undone(await facts(stage.town, order_id)))


async def survives(stage: Stage, order_id: str) -> tuple[str, bool]:
    """Act three."""
    stage.title("3  kill -9 between the charge and its commit")
    town, screen = stage.town, stage.screen
    screen.say("  payments is told to stall between the two, so that the moment can be hit", "dim")
    runs = await town.stall("payments", "ChargeCard")
    saga = await stage.start(_order(order_id))
    await stage.follow_until_run(saga, runs)
    await town.kill()
    screen.say(f"  kill -9 {town.victim_pid}: {town.victim}; the charge had run and was not committed", "bad")
    before = await facts(town, order_id)
    lost = stage.tell([Check(f"payments: {before.charges} charges, {before.paid} paid", before.charges == 0)])
    await town.start_again()
    screen.say(f"  started again as process {town.victim_pid}", "good")
    await stage.follow(saga)
    found = await facts(town, order_id)
    run_count = _lines(runs)
    once = Check(
        f"the charge ran {run_count} times; the payments ledger has {found.charges} charge of {found.paid}",
        run_count > 1 and (found.charges, found.paid) == (1, TOTAL),
    )
    return saga, stage.tell([once, *delivered(found, TOTAL)]) and lost


ACTS: tuple[Act, ...] = (completes, is_undone, survives)


async def facts(town: Town, order_id: str) -> Facts:
    """Look an order up. Raises Unavailable."""
    held = await ledgers.rows(
        town.database("inventory"),
        "select coalesce(sum(unit_count), 0) from reservations where order_id = $1 and state = 'held'",
        order_id,
    )
    paid = await ledgers.rows(
        town.database("payments"),
        "select coalesce(-sum(amount_cents), 0) from entries where account = $1",
        f"card:{order_id}",
    )
    done = await ledgers.effects(town, ("inventory", "payments"), order_id)
    return Facts(
        held_units=int(held[0][0]),
        charges=ledgers.count(done, "charge"),
        refunds=ledgers.count(done, "charge", "undo"),
        paid=Decimal(int(paid[0][0])).scaleb(-2),
        bookings=ledgers.books(town, "carrier", "book", order_id=order_id),
        mails=ledgers.books(town, "mailsink", "mail", reference=order_id),
        undone=ledgers.undone(done),
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


def _order(order_id: str, country: str = "NL") -> bytes:
    # The customer is named after the order, so that its card's account in the ledger is about this order alone.
    return examples.order(order_id, country=country, customer=order_id)


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines())
