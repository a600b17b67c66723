"""What payments does with its ledger."""

from decimal import Decimal

import msgspec
import pytest

from contracts.payments import (
    CancelInvoice,
    CardCharged,
    CardDeclined,
    ChargeCard,
    InvoiceCancelled,
    InvoiceIssued,
    InvoiceRefused,
    IssueInvoice,
    LimitReached,
    RefundCharge,
)
from saga.contract import Failure, InDoubt, Undone
from services.payments.handlers import cancel, charge, invoice, payable, refund
from tests.unit.services.tables import Tables


@pytest.fixture
def books(tables: Tables) -> Tables:
    """Payments' tables."""
    return tables.migrate("payments")


def balances(books: Tables) -> dict[str, int]:
    return dict(books.rows("select name, balance_cents from accounts"))


def charge_of(customer: str = "ann", amount: str = "19.90") -> ChargeCard:
    return ChargeCard(order_id="o1", customer=customer, amount=Decimal(amount))


async def test_a_charge_moves_the_amount_from_card_to_sales(books: Tables) -> None:
    """A charge is two entries that add up to nothing, two balances, and one effect."""
    reply = await charge(charge_of(), books.context(key="k1", step="charge"))
    assert isinstance(reply, CardCharged)
    assert balances(books) == {"card:ann": -1990, "sales": 1990}
    assert books.rows("select transfer, sum(amount_cents) from entries group by transfer") == [(reply.charge_id, 0)]
    assert books.rows("select kind, subject, detail from payments_effects") == [("do", "o1", f"{reply.charge_id} 1990")]


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (charge_of(customer="declined-7"), CardDeclined(reason="the bank declined")),
        (charge_of(amount="10000.01"), LimitReached(limit=Decimal("10000.00"))),
    ],
)
async def test_a_refused_charge_moves_nothing(books: Tables, command: ChargeCard, refusal: Failure) -> None:
    """A declined card and an amount above the limit leave no entry and no effect."""
    assert await charge(command, books.context()) == refusal
    assert books.rows("select * from entries") == books.rows("select * from payments_effects") == []


async def test_the_limit_itself_is_charged(books: Tables) -> None:
    """The limit is the largest amount that is charged."""
    assert isinstance(await charge(charge_of(amount="10000.00"), books.context()), CardCharged)


async def test_refund_moves_a_named_charge_back(books: Tables) -> None:
    """A refund of a named charge brings both balances back and says how much it was."""
    charged = await charge(charge_of(), books.context())
    assert isinstance(charged, CardCharged)
    refunded = await refund(RefundCharge(charge_id=charged.charge_id, reason="undone"), books.context(key="k2"))
    assert refunded.amount == Decimal("19.90")
    assert balances(books) == {"card:ann": 0, "sales": 0}
    assert books.rows("select kind, subject from payments_effects order by sequence") == [("do", "o1"), ("undo", "o1")]


async def test_refund_of_an_unknown_charge_uses_what_the_inbox_remembers(books: Tables) -> None:
    """Without an id, the charge is the one whose reply the inbox stored."""
    charged = await charge(charge_of(), books.context())
    undone = Undone(command=b"{}", reply=msgspec.json.encode(charged))
    await refund(RefundCharge(charge_id=None, reason="undone"), books.context(key="k2", undone=undone))
    assert balances(books) == {"card:ann": 0, "sales": 0}


@pytest.mark.parametrize("charge_id", [None, "ch_nobody"])
async def test_refund_of_a_charge_nobody_knows_is_in_doubt(books: Tables, charge_id: str | None) -> None:
    """Money is not given back by guessing: a charge that is on no books goes to a person."""
    with pytest.raises(InDoubt, match="is on the books"):
        await refund(RefundCharge(charge_id=charge_id, reason="undone"), books.context(undone=Undone()))


async def test_an_invoice_is_owed_until_it_is_cancelled(books: Tables) -> None:
    """An invoice moves the amount to what the customer owes; cancelling it moves it back."""
    asked = IssueInvoice(order_id="o1", customer="declined-7", amount=Decimal(5))
    assert isinstance(await invoice(asked, books.context()), InvoiceIssued)
    assert balances(books) == {"receivable:declined-7": -500, "sales": 500}
    assert await cancel(CancelInvoice(order_id="o1"), books.context()) == InvoiceCancelled(amount=Decimal("5.00"))
    assert balances(books) == {"receivable:declined-7": 0, "sales": 0}


async def test_cancelling_leaves_the_invoices_of_later_executions_alone(books: Tables) -> None:
    """Undoing the first of two invoices of one order cancels the one the inbox remembers, not the newer one."""
    asked = IssueInvoice(order_id="o1", customer="bob", amount=Decimal(5))
    first = await invoice(asked, books.context())
    await invoice(asked, books.context())
    undone = Undone(command=b"{}", reply=msgspec.json.encode(first))
    assert await cancel(CancelInvoice(order_id="o1"), books.context(undone=undone)) == InvoiceCancelled(Decimal("5.00"))
    assert balances(books) == {"receivable:bob": -500, "sales": 500}


async def test_a_customer_who_pays_in_advance_gets_no_invoice(books: Tables) -> None:
    """The fallback may refuse too."""
    refused = await invoice(
        IssueInvoice(order_id="o1", customer="declined-prepaid-1", amount=Decimal(5)), books.context()
    )
    assert refused == InvoiceRefused(reason="this customer pays in advance")


async def test_a_charge_run_twice_is_seen_twice(books: Tables) -> None:
    """No guard hides a repeat that the inbox should have stopped: the ledger shows both."""
    for _ in range(2):
        await charge(charge_of(), books.context(key="k1"))
    assert books.rows("select idempotency_key, count(*) from payments_effects group by 1") == [("k1", 2)]
    assert balances(books)["sales"] == 3980


@pytest.mark.parametrize(
    ("amount", "complaint"),
    [
        ("0", "not above 0"),
        ("-1", "not above 0"),
        ("0.001", "fractions of a cent"),
        ("NaN", "not above 0"),
        ("1", None),
    ],
)
def test_only_whole_cents_above_nothing_are_payable(amount: str, complaint: str | None) -> None:
    """What is wrong with an amount is said in words; a payable one gets none."""
    said = payable(charge_of(amount=amount))
    assert said is None if complaint is None else complaint in (said or "")
