"""The `bench` saga: what a small order does."""

from datetime import timedelta

from saga import Saga, define
from tests.bench.ours.contracts import Book, Charge, Confirm, OrderPlaced, PlaceOrder, Refund, Release, Reserve


@define("bench", version=1, deadline=timedelta(hours=24))
def bench(s: Saga, order: PlaceOrder) -> OrderPlaced:
    """Two steps that can be undone, the pivot, one that only goes forward."""
    s.key(order.order_id)
    order_id, amount = order.order_id, order.amount_cents
    s.step("reserve", Reserve(order_id=order_id, amount_cents=amount), undo=Release(order_id=order_id))
    s.step("charge", Charge(order_id=order_id, amount_cents=amount), undo=Refund(order_id=order_id))
    s.pivot("book", Book(order_id=order_id, amount_cents=amount))
    confirmed = s.retryable("confirm", Confirm(order_id=order_id, amount_cents=amount))
    return OrderPlaced(reference=confirmed.reference)
