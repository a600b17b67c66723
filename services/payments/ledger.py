"""Double-entry bookkeeping: every transfer is two entries that add up to nothing, and moves two balances."""

from typing import Literal, Protocol

import msgspec


class Tables(Protocol):
    """The open transaction of a handler, as far as the ledger needs it."""

    async def execute(self, sql: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run one statement and return its rows."""
        ...


SALES = "sales"
"""The house account on the other side of every charge and every invoice."""


class Claim(msgspec.Struct, frozen=True):
    """Money we took, or are owed, for one order."""

    id: str
    order_id: str
    customer: str
    amount_cents: int


async def open_claim(tx: Tables, claim: Claim, *, kind: Literal["charge", "invoice"]) -> None:
    """Note a charge or an invoice and move its money to us."""
    await tx.execute(
        "insert into claims (id, kind, order_id, customer, amount_cents, state) values ($1, $2, $3, $4, $5, 'open')",
        claim.id,
        kind,
        claim.order_id,
        claim.customer,
        claim.amount_cents,
    )
    await _transfer(tx, claim.id, account=customer_account(claim, kind), amount_cents=claim.amount_cents)


async def settle_claim(tx: Tables, claim: Claim, *, transfer: str, kind: Literal["charge", "invoice"]) -> None:
    """Move the money of a claim back. It is moved however often it is asked for: see `handlers`."""
    await tx.execute("update claims set state = 'settled' where id = $1", claim.id)
    await _transfer(tx, transfer, account=customer_account(claim, kind), amount_cents=-claim.amount_cents)


async def claim_by_id(tx: Tables, claim_id: str) -> Claim | None:
    """The claim of that id, whatever became of it."""
    rows = await tx.execute("select id, order_id, customer, amount_cents from claims where id = $1", claim_id)
    return _claim(rows[0]) if rows else None


async def open_invoices(tx: Tables, order_id: str) -> list[Claim]:
    """What is still owed for an order."""
    rows = await tx.execute(
        "select id, order_id, customer, amount_cents from claims"
        " where order_id = $1 and kind = 'invoice' and state = 'open'",
        order_id,
    )
    return [_claim(row) for row in rows]


def customer_account(claim: Claim, kind: Literal["charge", "invoice"]) -> str:
    """The customer's side: the card for a charge, what is owed for an invoice."""
    return f"{'card' if kind == 'charge' else 'receivable'}:{claim.customer}"


async def _transfer(tx: Tables, transfer: str, *, account: str, amount_cents: int) -> None:
    # The customer's account is locked before the house account, by everybody: no two transfers can deadlock.
    for name, change in ((account, -amount_cents), (SALES, amount_cents)):
        await tx.execute(
            "insert into entries (transfer, account, amount_cents) values ($1, $2, $3)", transfer, name, change
        )
        await tx.execute(
            "insert into accounts (name, balance_cents) values ($1, $2)"
            " on conflict (name) do update set balance_cents = accounts.balance_cents + excluded.balance_cents",
            name,
            change,
        )


def _claim(row: tuple[object, ...]) -> Claim:
    claim_id, order_id, customer, amount_cents = msgspec.convert(row, tuple[str, str, str, int])
    return Claim(claim_id, order_id, customer, amount_cents)
