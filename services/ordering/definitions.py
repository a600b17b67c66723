"""The `order` saga: stock, money, courier, mail."""

from datetime import timedelta

from contracts.inventory import ReleaseStock, ReserveStock
from contracts.notifications import SendMail
from contracts.ordering import OrderPlaced, PlaceOrder
from contracts.payments import CancelInvoice, CardDeclined, ChargeCard, IssueInvoice, RefundCharge
from contracts.shipping import BookCourier, QuoteCourier
from saga import On, Retry, Saga, coalesce, define, text


@define("order", version=1, deadline=timedelta(hours=24))
def order(s: Saga, order: PlaceOrder) -> OrderPlaced:
    """Until the courier is booked everything can be undone; after it the order only goes forward."""
    s.key(order.order_id)
    s.tag(country=order.address.country)

    s.step(
        "reserve",
        ReserveStock(order_id=order.order_id, lines=order.lines),
        undo=ReleaseStock(order_id=order.order_id),
    )
    with s.attempt("pay", on=[CardDeclined, On.EXHAUSTED]) as pay:
        paid = s.step(
            "charge",
            ChargeCard(order_id=order.order_id, customer=order.customer, amount=order.total),
            undo=lambda r: RefundCharge(charge_id=r.charge_id, reason="order undone"),
            unknown=RefundCharge(charge_id=None, reason="order undone"),
            retry=Retry(attempts=5),
        )
    with pay.otherwise():
        billed = s.step(
            "invoice",
            IssueInvoice(order_id=order.order_id, customer=order.customer, amount=order.total),
            undo=CancelInvoice(order_id=order.order_id),
        )
    quoted = s.read("quote", QuoteCourier(address=order.address))
    booked = s.pivot(
        "book",
        BookCourier(order_id=order.order_id, carrier=quoted.carrier, address=order.address, gift=order.gift),
    )
    s.retryable(
        "confirm",
        SendMail(
            to=order.email,
            subject=text("Order {} is on its way", order.order_id),
            reference=order.order_id,
        ),
    )
    return OrderPlaced(charge_id=coalesce(paid.charge_id, billed.invoice_id), tracking=booked.tracking)
