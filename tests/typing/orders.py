"""Contracts and the definition of an order, as a team writes them: neither checker may complain."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from saga import Command, Effect, Failure, On, Retry, Saga, coalesce, command, define, text

Count = Annotated[int, msgspec.Meta(ge=1)]


class Tier(StrEnum):
    """How a customer is treated."""

    STANDARD = "standard"
    VIP = "vip"


class Address(msgspec.Struct, frozen=True):
    """Where to."""

    street: str
    city: str
    country: str


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One line of an order; `unitCount` on the wire."""

    sku: str
    unit_count: Count


class PlaceOrder(msgspec.Struct, frozen=True):
    """What starts the saga."""

    order_id: str
    lines: list[Line]
    total: Decimal
    email: str
    address: Address
    tier: Tier = Tier.STANDARD
    coupon: str | None = None
    gift: bool = False


class OrderPlaced(msgspec.Struct, frozen=True):
    """What the saga gives back."""

    charge_id: str
    tracking: str
    wrap_id: str | None = None


class Done(msgspec.Struct, frozen=True):
    """A reply that says nothing more."""


class StockReserved(msgspec.Struct, frozen=True):
    """The reply of inventory."""

    reservation_id: str


class OutOfStock(Failure, frozen=True):
    """Too little on the shelf."""

    sku: str


@command(service="inventory", effect=Effect.INBOX)
class ReserveStock(Command[StockReserved, OutOfStock], frozen=True):
    """Take from the shelf."""

    order_id: str
    lines: list[Line]


@command(service="inventory", effect=Effect.INBOX)
class ReleaseStock(Command[Done], frozen=True):
    """Put it back."""

    order_id: str


class GiftWrapped(msgspec.Struct, frozen=True):
    """The reply of the wrapping desk."""

    wrap_id: str


@command(service="inventory", effect=Effect.INBOX)
class WrapGift(Command[GiftWrapped], frozen=True):
    """Wrap."""

    order_id: str


@command(service="inventory", effect=Effect.INBOX)
class UnwrapGift(Command[Done], frozen=True):
    """Unwrap."""

    order_id: str


class CardCharged(msgspec.Struct, frozen=True):
    """The reply of payments."""

    charge_id: str
    amount: Decimal


class CardDeclined(Failure, frozen=True):
    """The bank says no."""

    reason: str


class LimitReached(Failure, frozen=True):
    """Too much for one day."""

    limit: Decimal


@command(service="payments", effect=Effect.PROVIDER_KEY)
class ChargeCard(Command[CardCharged, CardDeclined | LimitReached], frozen=True):
    """Take money."""

    order_id: str
    amount: Decimal
    note: str = ""


@command(service="payments", effect=Effect.PROVIDER_KEY)
class RefundCharge(Command[Done], frozen=True):
    """Give it back; without a charge id, what was charged under the key."""

    charge_id: str | None
    reason: str


class InvoiceIssued(msgspec.Struct, frozen=True):
    """The other way to be paid."""

    invoice_id: str


@command(service="payments", effect=Effect.INBOX)
class IssueInvoice(Command[InvoiceIssued], frozen=True):
    """Write an invoice."""

    order_id: str
    amount: Decimal


@command(service="payments", effect=Effect.INBOX)
class CancelInvoice(Command[Done], frozen=True):
    """Cancel it."""

    order_id: str


class CourierQuoted(msgspec.Struct, frozen=True):
    """An offer."""

    carrier: str
    price: Decimal


@command(service="shipping", effect=Effect.READ_ONLY)
class QuoteCourier(Command[CourierQuoted], frozen=True):
    """Ask for an offer."""

    address: Address


class CourierBooked(msgspec.Struct, frozen=True):
    """The courier comes."""

    tracking: str


class CourierRefused(Failure, frozen=True):
    """The courier does not come."""

    reason: str


@command(service="shipping", effect=Effect.PROBE)
class BookCourier(Command[CourierBooked, CourierRefused], frozen=True):
    """Order the courier."""

    order_id: str
    carrier: str


class MailSent(msgspec.Struct, frozen=True):
    """The reply of the mailer."""

    message_id: str


@command(service="notifications", effect=Effect.AT_MOST_ONCE)
class SendMail(Command[MailSent], frozen=True):
    """Write to the customer."""

    to: str
    subject: str
    body: str = ""


@define("order", version=3, deadline=timedelta(hours=24))
def order(s: Saga, order: PlaceOrder) -> OrderPlaced:
    """Reserve, charge or invoice, book the courier, confirm."""
    s.key(order.order_id)
    s.tag(city=order.address.city, tier=order.tier)
    s.requester(order.email)
    s.step(
        "reserve",
        ReserveStock(order_id=order.order_id, lines=order.lines),
        undo=ReleaseStock(order_id=order.order_id),
    )
    with s.attempt("pay", on=[CardDeclined, On.EXHAUSTED]) as pay:
        paid = s.step(
            "charge",
            ChargeCard(order_id=order.order_id, amount=order.total),
            undo=lambda r: RefundCharge(charge_id=r.charge_id, reason="order undone"),
            unknown=RefundCharge(charge_id=None, reason="order undone"),
            retry=Retry(attempts=5),
        )
    with pay.otherwise():
        billed = s.step(
            "invoice",
            IssueInvoice(order_id=order.order_id, amount=order.total),
            undo=CancelInvoice(order_id=order.order_id),
        )
    with s.when(order.gift, name="gift"):
        wrapped = s.step("wrap", WrapGift(order_id=order.order_id), undo=UnwrapGift(order_id=order.order_id))
    quote = s.read("quote", QuoteCourier(address=order.address))
    booked = s.pivot("book", BookCourier(order_id=order.order_id, carrier=quote.carrier))
    s.retryable("confirm", SendMail(to=order.email, subject=text("Order {} is on its way", order.order_id)))
    return OrderPlaced(
        charge_id=coalesce(paid.charge_id, billed.invoice_id),
        tracking=booked.tracking,
        wrap_id=coalesce(wrapped.wrap_id, None),
    )
