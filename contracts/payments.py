"""What payments answers: charging a card or sending an invoice, and taking either back."""

from decimal import Decimal

import msgspec

from saga.contract import Command, Effect, Failure, command


class CardCharged(msgspec.Struct, frozen=True):
    """The money moved from the customer to us."""

    charge_id: str


class CardDeclined(Failure, frozen=True):
    """The customer's bank said no."""

    reason: str


class LimitReached(Failure, frozen=True):
    """More than we charge to a card at once."""

    limit: Decimal


@command(service="payments", effect=Effect.INBOX)
class ChargeCard(Command[CardCharged, CardDeclined | LimitReached], frozen=True):
    """Move the amount from the customer's card to us."""

    order_id: str
    customer: str
    amount: Decimal


class ChargeRefunded(msgspec.Struct, frozen=True):
    """The money of a charge moved back."""

    refund_id: str
    amount: Decimal


@command(service="payments", effect=Effect.INBOX)
class RefundCharge(Command[ChargeRefunded], frozen=True):
    """Move the money of a charge back; without an id it is the charge that payments remembers making."""

    charge_id: str | None
    reason: str


class InvoiceIssued(msgspec.Struct, frozen=True):
    """The customer owes us the amount."""

    invoice_id: str


class InvoiceRefused(Failure, frozen=True):
    """This customer pays in advance or not at all."""

    reason: str


@command(service="payments", effect=Effect.INBOX)
class IssueInvoice(Command[InvoiceIssued, InvoiceRefused], frozen=True):
    """Let the customer owe us the amount."""

    order_id: str
    customer: str
    amount: Decimal


class InvoiceCancelled(msgspec.Struct, frozen=True):
    """The customer owes us nothing for the order any more."""

    amount: Decimal


@command(service="payments", effect=Effect.INBOX)
class CancelInvoice(Command[InvoiceCancelled], frozen=True):
    """Take back the invoice of an order."""

    order_id: str
