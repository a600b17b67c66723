"""The order definition, played with scripted participants: three days take milliseconds."""

from datetime import timedelta
from decimal import Decimal

import pytest

from contracts.inventory import Line, OutOfStock, StockReserved
from contracts.notifications import MailSent, SendMail
from contracts.ordering import OrderPlaced, PlaceOrder
from contracts.payments import CardCharged, CardDeclined, InvoiceIssued, IssueInvoice, RefundCharge
from contracts.shipping import Address, CourierBooked, CourierQuoted, CourierRefused
from saga.core import events as e
from saga.testing import (
    ROUGH,
    Answers,
    NotPossible,
    Script,
    Verdict,
    answered,
    compensated,
    compensating,
    compensation_coverage,
    event,
    failed,
    given,
    issued,
    lost,
    play,
    refused_by,
    retry,
    silent,
    started,
    stuck,
    succeeded,
    time_passed,
)
from services.ordering.definitions import order

PLACE = PlaceOrder(
    order_id="o1",
    customer="ann",
    email="ann@example.org",
    address=Address(name="Ann", street="1 Road", city="Town", country="DE"),
    lines=(Line(sku="sku-1", unit_count=2),),
    total=Decimal("19.90"),
)
RESERVED, CHARGED, INVOICED = (
    StockReserved(unit_count=2),
    CardCharged(charge_id="ch-1"),
    InvoiceIssued(invoice_id="in-1"),
)
QUOTED, BOOKED, MAILED = (
    CourierQuoted(carrier="dhl", price_cents=500),
    CourierBooked(tracking="T1"),
    MailSent(mail_id="m1"),
)
SUNNY: dict[str, Script] = {
    "reserve": RESERVED,
    "charge": CHARGED,
    "invoice": InvoiceIssued(invoice_id="in-1"),
    "quote": QUOTED,
    "book": BOOKED,
    "confirm": MailSent(mail_id="m1"),
}
REFUSED = CourierRefused(reason="no ship goes there")


def but(**changes: Script) -> Answers:
    """A sunny day, but for these steps."""
    return {**SUNNY, **changes}


async def test_an_order_that_completes() -> None:
    """Five commands, one mail, and the customer gets what the services said."""
    run = await play(order, PLACE, SUNNY)
    assert run.status == "completed"
    assert run.output == OrderPlaced(charge_id="ch-1", tracking="T1")
    assert run.commands == ("reserve", "charge", "quote", "book", "confirm")
    assert run.sent(SendMail) == [SendMail(to="ann@example.org", subject="Order o1 is on its way", reference="o1")]
    assert run.undone == ()


async def test_a_late_refusal_is_undone_in_reverse() -> None:
    """The carrier refuses last: first the money goes back, then the stock."""
    run = await play(order, PLACE, but(book=REFUSED))
    assert (run.status, run.because) == ("compensated", "book: CourierRefused")
    assert run.undone == ("charge", "reserve")
    assert run.sent(RefundCharge) == [RefundCharge(charge_id="ch-1", reason="order undone")]
    assert run.standing == ()


async def test_without_stock_nothing_is_done() -> None:
    """The first refusal ends the saga, and nothing is undone."""
    run = await play(order, PLACE, but(reserve=OutOfStock(sku="sku-1", available_count=0)))
    assert (run.status, run.commands) == ("compensated", ("reserve",))


async def test_a_declined_card_becomes_an_invoice() -> None:
    """The order goes on, and its output names the invoice."""
    run = await play(order, PLACE, but(charge=CardDeclined(reason="the bank")))
    assert run.status == "completed"
    assert run.output.charge_id == "in-1"
    assert run.sent(IssueInvoice)[0].amount == Decimal("19.90")


async def test_an_exhausted_charge_is_undone_before_the_invoice() -> None:
    """Five attempts without an answer: it may have happened, so it is undone before the customer owes the amount."""
    run = await play(order, PLACE, but(charge=lost(CHARGED, times=None)))
    assert run.attempts("charge") == 5
    assert run.commands[:4] == ("reserve", "charge", "charge.undo", "invoice")
    assert run.sent(RefundCharge) == [RefundCharge(charge_id=None, reason="order undone")]
    assert run.status == "completed"
    assert run.standing == ("reserve", "invoice", "book", "confirm")


async def test_a_lost_reply_charges_once() -> None:
    """The attempt is repeated under its key, and payments answers from its inbox."""
    run = await play(order, PLACE, but(charge=lost(CHARGED)))
    assert (run.attempts("charge"), run.status) == (2, "completed")
    assert run.standing.count("charge") == 1


async def test_a_reserve_that_never_works_waits_for_a_person() -> None:
    """Exhausted without another way: it parks, and the operator's retry goes on."""
    run = await play(order, PLACE, but(reserve=retry("database-down")))
    assert (run.status, run.waits[0].kind) == ("parked", "parked")
    with pytest.raises(NotPossible, match="needs evidence"):
        run.operator.resolve("reserve", Verdict.NOT_APPLIED)
    run.services.answer({"reserve": RESERVED})
    run.operator.resolve("reserve", Verdict.RETRY)
    assert (await run.finish()).status == "completed"


async def test_the_deadline_undoes_everything() -> None:
    """Nobody gives a quote: after an hour a person could look, after a day the saga undoes what was done."""
    run = await play(order, PLACE, but(quote=silent()))
    assert run.status == "parked"
    assert timedelta(minutes=50) < run.elapsed < timedelta(minutes=70)
    await run.advance(timedelta(days=1))
    assert (run.status, run.undone, run.because) == ("compensated", ("charge", "reserve"), "the saga's deadline passed")


async def test_a_pause_stops_the_deadline() -> None:
    """Three days of pause count for nothing: the order goes on where it stood."""
    run = await play(order, PLACE, SUNNY, until="quote")
    run.operator.pause()
    await run.advance(timedelta(days=3))
    assert run.status == "paused"
    run.operator.resume()
    assert (await run.finish()).status == "completed"


async def test_a_charge_that_comes_after_its_undo_is_refused() -> None:
    """The command was stuck for two days: its key was tombstoned meanwhile."""
    run = await play(order, PLACE, but(charge=stuck(CHARGED, by=timedelta(days=2)), book=REFUSED), until="charge")
    assert run.operator.cancel() == "now"
    await run.finish()
    assert (run.status, run.undone, run.standing) == ("compensated", ("charge", "reserve"), ())
    assert run.elapsed >= timedelta(days=2)


async def test_cancel_before_the_pivot_undoes_what_was_done() -> None:
    """Nothing is booked yet, so everything goes back; the charge on its way may have happened."""
    run = await play(order, PLACE, SUNNY, until="charge")
    assert run.operator.cancel("changed their mind") == "now"
    await run.finish()
    assert (run.status, run.undone) == ("compensated", ("charge", "reserve"))
    assert "book" not in run.commands


@pytest.mark.parametrize(("booked", "ends"), [(BOOKED, "completed"), (REFUSED, "compensated")])
async def test_cancel_while_the_pivot_is_undecided_waits_for_it(booked: Script, ends: str) -> None:
    """The carrier decides: a booking makes the cancel come too late, a refusal lets it take effect."""
    run = await play(order, PLACE, but(book=booked), until="book")
    assert run.operator.cancel("changed their mind") == "if-pivot-fails"
    await run.finish()
    assert run.status == ends


async def test_cancel_after_the_pivot_is_too_late() -> None:
    """The courier comes: the saga only goes forward."""
    run = await play(order, PLACE, SUNNY, until="confirm")
    assert run.operator.cancel("changed their mind") == "too-late"
    assert (await run.finish()).status == "completed"


async def test_a_carrier_that_is_down_for_three_days() -> None:
    """The pivot is repeated until it is decided: three days pass in milliseconds, and the order completes."""
    run = await play(order, PLACE, SUNNY, until="book")
    run.services.down("shipping")
    await run.advance(timedelta(days=3))
    assert (run.status, run.waits[0].path) == ("running", "book")
    run.services.up("shipping")
    await run.finish()
    assert (run.status, run.standing.count("book")) == ("completed", 1)


async def test_a_service_without_a_queue_uses_up_nothing() -> None:
    """While the broker returns the command its clock stands still: a deploy gap never compensates."""
    run = await play(order, PLACE, SUNNY, until="reserve")
    run.services.remove_queue("payments")
    await run.advance(timedelta(hours=5))
    assert [wait.kind for wait in run.waits] == ["delivery"]
    run.services.restore_queue("payments")
    await run.finish()
    assert (run.status, run.sendings[-1].step) == ("completed", "confirm")


@pytest.mark.parametrize("seed", range(15))
async def test_rough_weather(seed: int) -> None:
    """Late, lost, doubled and overtaking messages change when an order ends, and never break the undo law."""
    run = await play(order, PLACE, but(book=[retry(), REFUSED]), seed=seed, network=ROUGH)
    assert run.broken_laws() == []
    assert run.status in {"compensated", "parked"}


async def test_everything_that_can_go_wrong() -> None:
    """Every compensation is sent, after an ok and after an unknown outcome; the undo law holds in every story."""
    coverage = await compensation_coverage(order, PLACE, SUNNY)
    coverage.check()
    assert len(coverage.endings) > 70
    assert {ending.status for ending in coverage.endings} == {"completed", "compensated", "parked"}
    parked = {need.split()[1] for ending in coverage.parked for need in ending.needs}
    assert parked == {"reserve", "quote", "invoice", "confirm"}, "what the definition leaves to people"


def test_a_refused_order_ends_in_one_decision() -> None:
    """Given, when, then: the first refusal is recorded, the saga compensates, and has nothing to undo."""
    sold_out = answered("reserve", OutOfStock(sku="sku-1", available_count=0))
    given(order, started(PLACE)).when(sold_out).then(
        refused_by("reserve", OutOfStock), compensating("failed"), compensated()
    )


def test_compensation_goes_one_by_one() -> None:
    """Each undo is sent after the one before was acknowledged."""
    history = (started(PLACE), answered("reserve", RESERVED), answered("charge", CHARGED), answered("quote", QUOTED))
    refused = given(order, *history).when(answered("book", REFUSED))
    refused.then(
        refused_by("book", CourierRefused),
        compensating("failed"),
        issued("charge.undo", RefundCharge(charge_id="ch-1", reason="order undone")),
    )
    refused.when(answered("charge.undo", failed("WindowClosed"))).then_state(
        status="parked", parked={"charge.undo": "compensation-failed"}
    )


def test_an_attempt_that_is_not_answered_is_repeated() -> None:
    """After thirty seconds the attempt counts as unanswered; its key stays."""
    waiting = given(order, started(PLACE))
    waiting.when(time_passed(timedelta(seconds=29))).nothing_happened()
    waiting.when(time_passed(timedelta(seconds=1))).then(event(e.AttemptEnded, path="reserve", why="timeout"))
    waiting.when(time_passed(timedelta(seconds=1))).then(event(e.CommandRepeated, path="reserve", attempt=2))
    waiting.when(answered("reserve", RESERVED)).then(succeeded("reserve"), issued("charge"))


async def test_a_recorded_history_can_be_taken_up() -> None:
    """What a run recorded is a history for another question."""
    run = await play(order, PLACE, SUNNY, until="book")
    taken_up = given(order, *run.commits)
    taken_up.when(answered("book", REFUSED)).then_state(status="compensating", because="book: CourierRefused")
