"""The test kit as users type it: nothing needs a cast, an ignore or an annotation that repeats what is known."""

from datetime import timedelta
from typing import assert_type

from saga.core.events import StepParked
from saga.define import Definition
from saga.testing import (
    ROUGH,
    Answers,
    Coverage,
    Proven,
    Run,
    Script,
    Sent,
    Verdict,
    answered,
    assert_idempotent,
    begin,
    compensated,
    compensation_coverage,
    event,
    failed,
    given,
    issued,
    lost,
    ok,
    play,
    retry,
    started,
    stuck,
)
from tests.unit.testing.shop import ORDER, Declined, Done, Order, Ordered, Pay, Release, shop
from tests.unit.testing.till import Pay as TillPay
from tests.unit.testing.till import Unpay, pay, unpay

SUNNY: dict[str, Script] = {"note": Done(), "hold": Done(), "pay": Done(), "ship": Done(), "tell": Done()}


def charge(sent: Sent) -> Done | Declined:
    """A function answers from the command."""
    return Declined() if sent.as_a(Pay).amount > 5 else Done()


async def runs() -> None:
    """Answers of every kind fit; outputs and commands come back typed."""
    assert_type(shop, Definition[Order, Ordered])
    run = await play(shop, ORDER, {**SUNNY, "pay": [retry(), lost(Done()), charge], "hold.undo": ok()})
    assert_type(run, Run[Ordered])
    assert_type(run.output, Ordered)
    assert_type(run.sent(Pay), list[Pay])
    one: Answers = {"pay": charge}
    await play(shop, ORDER, {**SUNNY, **one, "ship": failed("Declined")}, until="pay", seed=3, network=ROUGH)
    begun = begin(shop, ORDER, {"hold": stuck(Done(), by=timedelta(days=1)), "pay": lambda sent: Done(id=sent.step)})
    begun.operator.resolve("hold", Verdict.APPLIED, evidence="seen", reply=Done())
    assert_type(await (await begun.advance(timedelta(days=1))).finish(), Run[Ordered])
    assert_type(await compensation_coverage(shop, ORDER, SUNNY), Coverage)
    assert_type(await compensation_coverage(shop, [ORDER, Order(id="o-2", amount=1)], SUNNY), Coverage)


def decisions() -> None:
    """Histories, inputs and events."""
    given(shop, started(ORDER), answered("note", Done())).when(answered("hold", Declined())).then(
        event(StepParked, path="hold"), issued("hold.undo", Release(order="o-1")), compensated()
    ).then_state(status="parked", parked={"hold": "exhausted"}, waits_for=["parked"]).nothing_happened()


async def deliveries() -> None:
    """A command or a function that makes one; the undo as a command, or from the command and its reply."""
    handlers = [TillPay.handled_by(pay), Unpay.handled_by(unpay)]
    assert_type(await assert_idempotent(handlers, TillPay(id="p"), effects="select 1", undo=Unpay(id="p")), Proven)
    await assert_idempotent(
        handlers,
        lambda name: TillPay(id=name),
        effects=lambda: 1,
        undo=lambda cmd, _reply: Unpay(id=cmd.id),
    )
