"""Advice: what can run, but not as well as it could."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from saga import Command, Effect, On, Saga, command, define, no_undo
from saga.define import Escalate
from tests.typing import orders as c


@command(service="payments", effect=Effect.AT_MOST_ONCE)
class ChargeOnce(Command[c.Done], frozen=True):
    """A doubt about it goes to a person."""


@command(service="payments", effect=Effect.INBOX, remembers=timedelta(days=8))
class ChargeBriefly(Command[c.Done], frozen=True):
    """Its service forgets soon."""


@command(service="payments", effect=Effect.INBOX)
class Unwind(Command[c.Done], frozen=True):
    """Undoes either."""

    note: str | None = None


def charge(s: Any, o: Any, **words: Any) -> None:
    """A step that may be refused."""
    s.step("charge", c.ChargeCard(order_id=o.order_id, amount=o.total), **{"undo": Unwind(note="x"), **words})


def irreversible(s: Any, o: Any) -> None:
    s.step("reserve", c.ReserveStock(order_id=o.order_id, lines=o.lines), undo=no_undo("stays"))
    charge(s, o)


def losing(s: Any, o: Any) -> None:
    with s.parallel("first", join=On.ANY) as branch:
        with branch("left"):
            s.step("reserve", c.ReserveStock(order_id=o.order_id, lines=o.lines), undo=no_undo("stays"))
        with branch("right"):
            s.read("quote", c.QuoteCourier(address=o.address))


def doubtful(s: Any, o: Any) -> None:
    s.step("once", ChargeOnce(), undo=Unwind(note="x"))
    s.pivot("book", c.BookCourier(order_id=o.order_id, carrier="x"))


def empty_undo(s: Any, o: Any) -> None:
    charge(s, o, undo=Unwind(), unknown=Unwind())


def too_long(s: Any, o: Any) -> None:
    charge(s, o, within=timedelta(hours=20))
    with s.when(o.gift) as gift:
        s.read("a", c.QuoteCourier(address=o.address), within=timedelta(hours=5))
    with gift.otherwise():
        s.read("b", c.QuoteCourier(address=o.address), within=timedelta(hours=1))


def forgotten(s: Any, _: Any) -> None:
    s.step("brief", ChargeBriefly(), undo=Unwind(note="x"))


def forgotten_waiting(s: Any, _: Any) -> None:
    s.step("brief", ChargeBriefly(), undo=Unwind(note="x"))
    s.sleep("rest", timedelta(hours=30))


def refusable(s: Any, o: Any) -> None:
    s.step("reserve", c.ReserveStock(order_id=o.order_id, lines=[]), undo=no_undo("stays"))
    s.gate("look", showing=o, roles=["boss"])


def sleeps_too_long(s: Any, o: Any) -> None:
    charge(s, o)
    s.sleep("rest", timedelta(hours=25))


def decided_too_late(s: Any, o: Any) -> None:
    charge(s, o)
    s.gate("look", showing=o, roles=["boss"], expires=timedelta(hours=30))


def escalated_too_late(s: Any, o: Any) -> None:
    charge(s, o)
    s.gate("look", showing=o, roles=["boss"], expires=timedelta(hours=13), on_expiry=Escalate(to=["head"]))


def signalled_too_late(s: Any, o: Any) -> None:
    charge(s, o)
    with s.within("soon", timedelta(hours=1)):
        s.signal("paid", c.OrderPlaced, within=timedelta(hours=2))


def crowded(s: Any, o: Any) -> None:
    with s.each("outer", o.lines, limit=100), s.each("inner", o.lines, limit=60):
        s.read("quote", c.QuoteCourier(address=o.address))


def overruled(s: Any, o: Any) -> None:
    with s.attempt("pay", on=[On.EXHAUSTED]):
        charge(s, o, on_exhausted=On.COMPENSATE)


def keep(s: Any, o: Any, name: str = "reserve") -> None:
    """A step that may be refused and stays done."""
    s.step(name, c.ReserveStock(order_id=o.order_id, lines=[]), undo=no_undo("stays"))


def one_of_the_items(s: Any, o: Any) -> None:
    with s.each("every", o.lines, limit=5):
        keep(s, o)


def one_of_the_turns(s: Any, o: Any) -> None:
    with s.repeat("again", limit=5) as turn:
        keep(s, o)
        turn.until(o.gift)


def beside(s: Any, o: Any) -> None:
    with s.parallel("both") as branch:
        with branch("left"):
            charge(s, o)
        with branch("right"):
            s.step("keep", c.WrapGift(order_id=o.order_id), undo=no_undo("stays"))


def behind_the_arms(s: Any, o: Any) -> None:
    with s.when(o.gift):
        keep(s, o)
    s.pivot("book", c.BookCourier(order_id=o.order_id, carrier="x"))


def inside_the_attempt(s: Any, o: Any) -> None:
    with s.attempt("pay", on=[c.CardDeclined, c.LimitReached]):
        keep(s, o)
        charge(s, o)


def caught_in_part(s: Any, o: Any) -> None:
    keep(s, o)
    with s.attempt("pay", on=[c.CardDeclined]):
        charge(s, o)


@pytest.mark.parametrize(
    ("body", "place", "reason"),
    [
        (irreversible, "reserve", "is never undone (stays), but 'charge' (CardDeclined, LimitReached) may still fail"),
        (losing, "reserve", "is never undone (stays), also when another branch of 'first' comes first"),
        (doubtful, "once", "is at_most_once: a lost reply puts it before an operator, with 'book' (CourierRefused)"),
        (empty_undo, "charge.undo.note", "is null in every case"),
        (too_long, "t", "may take 1 day, 1:00:00 together (within=), longer than its deadline"),
        (forgotten, "brief", "may be undone after 2 d, but 'payments' knows its key for 1 d"),
        (forgotten_waiting, "brief", "may be undone after 2 d ('rest' waits behind it), but 'payments' knows its key"),
        (refusable, "reserve", "is never undone (stays), but 'look' (rejected) may still fail after it"),
        (one_of_the_items, "every/reserve", "but 'every/reserve' (OutOfStock) of another item may still fail after it"),
        (one_of_the_turns, "again/reserve", "but 'again/reserve' (OutOfStock) in a later turn may still fail after it"),
        (beside, "keep", "but 'charge' (CardDeclined, LimitReached) may still fail after it"),
        (behind_the_arms, "reserve", "but 'book' (CourierRefused) may still fail after it"),
        (inside_the_attempt, "reserve", "but 'charge' (CardDeclined, LimitReached) may still fail after it"),
        (caught_in_part, "reserve", "but 'charge' (LimitReached) may still fail after it"),
        (sleeps_too_long, "rest", "sleeps for 25 h, but the saga's deadline is 1 d"),
        (decided_too_late, "look", "expires after 30 h, but the saga's deadline is 1 d"),
        (escalated_too_late, "look", "expires after 26 h, but the saga's deadline is 1 d"),
        (signalled_too_late, "paid", "waits at most 2 h, but the time of 'soon' is 1 h"),
        (crowded, "t", "may do 6000 steps in one run, each at least 2 events; at 10000 it parks"),
        (overruled, "charge", "has no effect: the attempt 'pay' reacts to it"),
    ],
)
def test_advice_names_place_reason_and_fix(body: Callable[[Any, Any], None], place: str, reason: str) -> None:
    """One piece of advice, which refuses nothing."""

    def written(s: Saga, order: c.PlaceOrder) -> None:
        body(s, order)

    deadline = timedelta(days=2 if body in (forgotten, forgotten_waiting) else 1)
    [problem] = define("t", version=1, deadline=deadline)(written).lints
    assert (problem.kind, problem.place) == ("lint", place)
    assert reason in problem.reason
    assert problem.fix


def test_a_definition_by_the_book_gets_no_advice() -> None:
    """The reference order."""
    assert c.order.lints == ()


def in_the_other_arm(s: Any, o: Any) -> None:
    with s.when(o.gift) as gift:
        keep(s, o)
    with gift.otherwise():
        charge(s, o)


def in_the_other_way(s: Any, o: Any) -> None:
    with s.attempt("stock", on=[c.OutOfStock]) as stock:
        keep(s, o)
    with stock.otherwise():
        charge(s, o)


def caught(s: Any, o: Any) -> None:
    keep(s, o)
    with s.attempt("pay", on=[c.CardDeclined, c.LimitReached]):
        charge(s, o)


@pytest.mark.parametrize("body", [in_the_other_arm, in_the_other_way, caught])
def test_what_cannot_fail_the_saga_after_a_step_is_no_advice(body: Callable[[Any, Any], None]) -> None:
    """The other arm does not run then, and what an attempt reacts to goes no further."""

    def written(s: Saga, order: c.PlaceOrder) -> None:
        body(s, order)

    assert define("t", version=1)(written).lints == ()
