"""Definitions with one mistake each, written as by somebody without a type checker."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from saga import (
    Command,
    Effect,
    On,
    Retry,
    all_of,
    coalesce,
    command,
    no_undo,
    one_of,
    size,
    text,
)
from tests.typing import orders as c

CHARGE = c.ChargeCard(order_id="o", amount=Decimal(1))
RESERVE = c.ReserveStock(order_id="o", lines=[])
RELEASE = c.ReleaseStock(order_id="o")
REFUND = c.RefundCharge(charge_id=None, reason="r")
MAIL = c.SendMail(to="a", subject="b")
BOOK = c.BookCourier(order_id="o", carrier="x")
QUOTE = c.QuoteCourier(address=c.Address(street="s", city="c", country="d"))
KEPT = no_undo("kept")


@command(service="payments", effect=Effect.PROVIDER_KEY)
class StrictRefund(Command[c.Done], frozen=True):
    """A compensation that cannot do without the charge id."""

    charge_id: str


class Mislaid(Command[c.Done], frozen=True):
    """A command without a contract."""


@command(service="payments", effect=Effect.AT_MOST_ONCE)
class OnceRefund(Command[c.Done], frozen=True):
    """A compensation that cannot be repeated."""


@command(service="payments", effect=Effect.READ_ONLY)
class LookAtCharge(Command[c.Done], frozen=True):
    """Changes nothing."""


Body = Callable[[Any, Any], Any]


def undo_needs_unknown(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=lambda r: c.RefundCharge(charge_id=r.charge_id, reason="x"))


def undo_does_not_take_none(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=lambda r: StrictRefund(charge_id=r.charge_id), unknown=StrictRefund(charge_id=""))


def undo_elsewhere(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=RELEASE)


def unknown_elsewhere(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=REFUND, unknown=RELEASE)


def undo_refuses(s: Any, o: Any) -> None:
    s.step("reserve", RESERVE, undo=RESERVE)


def undo_once(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=OnceRefund())


def undo_reads(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=LookAtCharge())


def undo_class(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=c.RefundCharge)


def undo_nothing(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=None)


def no_reason(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=no_undo(" "))


def no_undo_but_unknown(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=KEPT, unknown=REFUND)


def step_only_reads(s: Any, o: Any) -> None:
    s.step("quote", QUOTE, undo=KEPT)


def read_writes(s: Any, o: Any) -> None:
    s.read("charge", CHARGE)


def no_contract(s: Any, o: Any) -> None:
    s.pivot("lost", Mislaid())


def step_after_pivot(s: Any, o: Any) -> None:
    s.pivot("book", BOOK)
    s.step("charge", CHARGE, undo=REFUND)


def retryable_before_pivot(s: Any, o: Any) -> None:
    s.retryable("mail", MAIL)


def retryable_refuses(s: Any, o: Any) -> None:
    s.pivot("book", BOOK)
    s.retryable("charge", CHARGE)


def two_pivots(s: Any, o: Any) -> None:
    s.pivot("book", BOOK)
    s.pivot("mail", MAIL)


def pivot_in_attempt(s: Any, o: Any) -> None:
    with s.attempt("try", on=[c.CourierRefused]):
        s.pivot("book", BOOK)


def pivot_in_one_arm(s: Any, o: Any) -> None:
    with s.when(o.gift):
        s.pivot("book", BOOK)


def pivot_gives_up(s: Any, o: Any) -> None:
    s.pivot("book", BOOK, retry=Retry(attempts=3))


def late_read_gives_up(s: Any, o: Any) -> None:
    s.pivot("book", BOOK)
    s.read("quote", QUOTE, within=timedelta(minutes=1))


def maybe_absent(s: Any, o: Any) -> None:
    with s.when(o.gift):
        wrapped = s.step("wrap", c.WrapGift(order_id="o"), undo=c.UnwrapGift(order_id="o"))
    s.pivot("mail", c.SendMail(to=wrapped.wrap_id, subject="x"))


def maybe_absent_in_all_choices(s: Any, o: Any) -> None:
    with s.when(o.gift):
        one = s.step("one", c.WrapGift(order_id="o"), undo=c.UnwrapGift(order_id="o"))
    with s.when(o.gift):
        two = s.step("two", c.WrapGift(order_id="o"), undo=c.UnwrapGift(order_id="o"))
    s.pivot("mail", c.SendMail(to=coalesce(one.wrap_id, two.wrap_id), subject="x"))


def other_arm(s: Any, o: Any) -> None:
    with s.attempt("pay", on=[c.CardDeclined]) as pay:
        paid = s.step("charge", CHARGE, undo=REFUND)
    with pay.otherwise():
        s.step("invoice", c.IssueInvoice(order_id=coalesce(paid.charge_id, "x"), amount=o.total), undo=KEPT)


def otherwise_elsewhere(s: Any, o: Any) -> None:
    with s.when(o.gift) as gift:
        s.read("a", QUOTE)
    s.read("b", QUOTE)
    with gift.otherwise():
        s.read("c", QUOTE)


def otherwise_twice(s: Any, o: Any) -> None:
    with s.when(o.gift) as gift:
        s.read("a", QUOTE)
    with gift.otherwise():
        s.read("b", QUOTE)
    with gift.otherwise():
        s.read("c", QUOTE)


def otherwise_inside(s: Any, o: Any) -> None:
    with s.when(o.gift, name="gift") as gift:
        s.read("a", QUOTE)
        with gift.otherwise():
            s.read("b", QUOTE)


def name_twice(s: Any, o: Any) -> None:
    s.read("quote", QUOTE)
    s.read("quote", QUOTE)


def name_input(s: Any, o: Any) -> None:
    s.read("input", QUOTE)


def name_slash(s: Any, o: Any) -> None:
    s.read("a/b", QUOTE)


def name_long(s: Any, o: Any) -> None:
    s.read("a" * 65, QUOTE)


def empty_attempt(s: Any, o: Any) -> None:
    s.read("quote", QUOTE)
    with s.attempt("pay", on=[c.CardDeclined]):
        pass


def unraised(s: Any, o: Any) -> None:
    with s.attempt("pay", on=[c.OutOfStock]):
        s.step("charge", CHARGE, undo=REFUND)


def unraised_exhaustion(s: Any, o: Any) -> None:
    s.pivot("book", BOOK)
    with s.attempt("pay", on=[On.EXHAUSTED]):
        s.read("quote", QUOTE)


def no_reasons(s: Any, o: Any) -> None:
    with s.attempt("pay", on=[]):
        s.step("charge", CHARGE, undo=REFUND)


def no_failure(s: Any, o: Any) -> None:
    with s.attempt("pay", on=[c.CardDeclined, c.CardCharged]):
        s.step("charge", CHARGE, undo=REFUND)


def reason_twice(s: Any, o: Any) -> None:
    with s.attempt("pay", on=[c.CardDeclined, c.CardDeclined]):
        s.step("charge", CHARGE, undo=REFUND)


def null_for_text(s: Any, o: Any) -> None:
    s.pivot("mail", c.SendMail(to=o.coupon, subject="x"))


def null_compared(s: Any, o: Any) -> None:
    with s.when(o.coupon == "x"):
        s.read("quote", QUOTE)


def null_written(s: Any, o: Any) -> None:
    s.pivot("mail", c.SendMail(to=text("{}", o.coupon), subject="x"))


def wrong_type(s: Any, o: Any) -> None:
    s.pivot("mail", c.SendMail(to=o.total, subject="x"))


def wrong_struct(s: Any, o: Any) -> None:
    s.read("quote", c.QuoteCourier(address=o))


def wrong_constant(s: Any, o: Any) -> None:
    s.step("reserve", c.ReserveStock(order_id="o", lines=[c.Line(sku="x", unit_count=-1)]), undo=RELEASE)


def set_of_values(s: Any, o: Any) -> None:
    lines: Any = {o.order_id}
    s.step("reserve", c.ReserveStock(order_id="o", lines=lines), undo=RELEASE)


def nan(s: Any, o: Any) -> None:
    s.step("charge", c.ChargeCard(order_id="o", amount=Decimal("NaN")), undo=REFUND)


def repr_of_placeholder(s: Any, o: Any) -> None:
    s.pivot("mail", c.SendMail(to=f"{o.email!r}", subject="x"))


def compared_with_other_type(s: Any, o: Any) -> None:
    with s.when(all_of(o.total > "x", o.gift)):
        s.read("quote", QUOTE)


def compared_with_no_member(s: Any, o: Any) -> None:
    with s.when(one_of(o.tier, "gold")):
        s.read("quote", QUOTE)


def compared_as_whole(s: Any, o: Any) -> None:
    with s.when(o.address == o.address):
        s.read("quote", QUOTE)


def size_of_number(s: Any, o: Any) -> None:
    with s.when(size(o.total) > 1):
        s.read("quote", QUOTE)


def timeout_beyond_within(s: Any, o: Any) -> None:
    s.read("quote", QUOTE, timeout=timedelta(minutes=5), within=timedelta(minutes=1))


def within_beyond_deadline(s: Any, o: Any) -> None:
    s.read("quote", QUOTE, within=timedelta(days=2))


def no_time(s: Any, o: Any) -> None:
    s.read("quote", QUOTE, timeout=timedelta(0))


def no_attempt(s: Any, o: Any) -> None:
    s.read("quote", QUOTE, retry=Retry(attempts=0))


def waits_beyond_cap(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=REFUND, undo_retry=Retry(first=timedelta(hours=1)))


def wrong_policy(s: Any, o: Any) -> None:
    s.step("charge", CHARGE, undo=REFUND, on_undo_failed=On.PARK)


def key_of_reply(s: Any, o: Any) -> None:
    quote = s.read("quote", QUOTE)
    s.key(quote.carrier)


def key_twice(s: Any, o: Any) -> None:
    s.key(o.order_id)
    s.key(o.email)
    s.read("quote", QUOTE)


def nothing(s: Any, o: Any) -> None:
    pass
