"""`compensation_coverage`: everything that can go wrong, and what it led to."""

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from saga.core import advance, compensation
from saga.core import events as e
from saga.core.definition import Definition as Compiled
from saga.core.definition import Step
from saga.core.messages import Kind, Outcome
from saga.core.plan import plan_of
from saga.core.state import StepState
from saga.define import Definition, Saga, define
from saga.testing import Coverage, Script, Unscripted, compensation_coverage, play, retry
from saga.testing.laws import broken_laws
from saga.testing.world import World
from tests.unit.testing.shop import (
    ORDER,
    SUNNY,
    Declined,
    Done,
    Hold,
    Order,
    Ordered,
    Pay,
    Release,
    Repay,
    Ship,
    shop,
)


async def test_every_compensation_is_sent() -> None:
    """After an ok and after an unknown outcome, in a story for each thing that can go wrong."""
    coverage = await compensation_coverage(shop, ORDER, SUNNY)
    coverage.check()
    assert (coverage.missing, coverage.broken) == ((), ())
    assert set(coverage.known) == {"hold.undo", "pay.undo"}
    told = {ending.troubles[0] for ending in coverage.endings if ending.troubles}
    assert {
        "hold answers Declined",
        "pay is done and never knows it",
        "no reply of pay arrives",
        "ship is stuck past the deadline",
        "it is cancelled while tell is on its way",
        "it is paused while hold is on its way, and cancelled after the answer",
        "the orchestrator dies after commit 3",
    } <= told
    assert any("the reply of pay.undo is lost" in ending.troubles for ending in coverage.endings)


async def test_the_report_can_be_read() -> None:
    """A line for each compensation, and each story that ends in front of a person, with the reason."""
    report = str(await compensation_coverage(shop, [ORDER], SUNNY)).splitlines()
    assert report[0].startswith("shop v2: ")
    assert any(line.split()[:1] == ["pay.undo"] for line in report)
    assert "  never undone: note" in report
    assert any("tell does not answer at first -> parked: in-doubt" in line for line in report)


@define("single", version=1)
def single(s: Saga, order: Order) -> Ordered:
    """Its only step can be undone, and with its answer the saga is over."""
    paid = s.step("pay", Pay(order=order.id, amount=1), undo=lambda r: Repay(id=r.id), unknown=Repay(id=None))
    return Ordered(parcel=paid.id)


@define("napping", version=1)
def napping(s: Saga, order: Order) -> Ordered:
    """Nothing is sent after its step, but time passes."""
    s.step("hold", Hold(order=order.id), undo=Release(order=order.id))
    s.sleep("nap", timedelta(hours=1))
    return Ordered(parcel=order.id)


LAST: dict[str, Script] = {"pay": [retry(), Done()], "hold": Done()}


@pytest.mark.parametrize(("definition", "step"), [(single, "pay"), (napping, "hold")])
async def test_the_undo_of_the_last_step_is_sent_after_an_ok(definition: Definition[Order, Ordered], step: str) -> None:
    """A completed saga is not undone. One that is paused when the answer comes is not completed, and can be cancelled;
    which answer it is does not depend on how often it was asked before."""
    coverage = await compensation_coverage(definition, ORDER, {step: LAST[step]})
    coverage.check()
    [ending] = [each for each in coverage.endings if "cancelled after the answer" in str(each)]
    assert (ending.status, ending.undone, ending.standing) == ("compensated", (step,), ())
    assert coverage.known == {f"{step}.undo": 1}


@define("byway", version=1)
def byway(s: Saga, order: Order) -> Ordered:
    """Dear orders pay another way."""
    with s.when(order.amount > 100) as dear:
        s.step("hold", Hold(order=order.id), undo=Release(order=order.id))
    with dear.otherwise():
        s.step("pay", Pay(order=order.id, amount=order.amount), undo=Repay(id=None))
    with s.attempt("again", on=[Declined]) as first:
        s.step("pay-1", Pay(order=order.id, amount=1), undo=Repay(id=None))
    with first.otherwise():
        s.step("pay-2", Pay(order=order.id, amount=2), undo=Repay(id=None))
    parcel = s.pivot("ship", Ship(order=order.id))
    return Ordered(parcel=parcel.id)


BYWAY = {name: Done() for name in ("hold", "pay", "pay-1", "pay-2", "ship")}


async def test_what_no_input_reaches_is_missing() -> None:
    """One input takes one arm; the other arm's compensation was never sent, and the check says so."""
    coverage = await compensation_coverage(byway, ORDER, BYWAY)
    assert coverage.missing == ("hold.undo after ok", "hold.undo after an unknown outcome")
    with pytest.raises(AssertionError, match=r"byway v1: 2 problems\n  never sent: hold.undo after ok. Fix: add an in"):
        coverage.check()
    (await compensation_coverage(byway, [ORDER, Order(id="o-2", amount=101)], BYWAY)).check()


async def test_a_byway_needs_answers_too() -> None:
    """A step that only a failure leads to has to be answered as well."""
    with pytest.raises(Unscripted, match=r"step 'pay-2' was sent bank.Pay.v1"):
        await compensation_coverage(byway, ORDER, {name: BYWAY[name] for name in BYWAY if name != "pay-2"})


async def test_a_broken_law_fails_the_check() -> None:
    """Whatever the reason, it is told with its story."""
    coverage = await compensation_coverage(shop, ORDER, SUNNY)
    broken = msgspec.structs.replace(coverage.endings[0], broken=("pay was done 2 times under one key",))
    worse = Coverage(coverage.title, coverage.known, coverage.unknown, (broken,))
    with pytest.raises(AssertionError, match="nothing goes wrong -> completed: pay was done 2 times under one key"):
        worse.check()
    assert "broken: nothing goes wrong" in str(worse)


async def test_each_law_is_noticed_when_it_is_broken() -> None:
    """Histories that the engine would never write."""
    run = await play(shop, ORDER, {**SUNNY, "ship": Declined()})
    plan = plan_of(shop.compiled, shop.hash)
    assert isinstance(plan.definition, Compiled)
    state, events = run.state, list(run.events)
    world = World(plan)
    assert broken_laws(plan, state, tuple(events), world) == []

    undos = [
        at for at, each in enumerate(events) if isinstance(each, e.CommandIssued) and each.kind is Kind.COMPENSATION
    ]
    swapped = list(events)
    swapped[undos[0]], swapped[undos[1]] = swapped[undos[1]], swapped[undos[0]]
    assert "hold is undone before pay" in broken_laws(plan, state, tuple(swapped), world)

    hasty = [each for each in events if not isinstance(each, e.CompensationSucceeded)]
    assert "hold is undone while the undo of pay is under way" in broken_laws(plan, state, tuple(hasty), world)

    shipped = e.StepSucceeded(at=events[0].at, path="ship", execution=1, reply=msgspec.Raw(b"{}"))
    late = [*events[: undos[0]], shipped, *events[undos[0] :]]
    assert "pay is undone after the pivot ship" in broken_laws(plan, state, tuple(late), world)

    happy = await play(shop, ORDER, SUNNY)
    assert "completed, and the effect of pay does not stand" in broken_laws(plan, happy.state, happy.events, world)
    assert happy.state.steps["pay"].action.outcome is Outcome.OK


NeedsUndo = Callable[[Step, StepState | None], bool]


def _only_known(right: NeedsUndo) -> NeedsUndo:
    return lambda step, current: right(step, current) and current is not None and current.action.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("undoes in the wrong order", "hold is undone before pay"),
        ("forgets what is unknown", "compensated, and the effect of pay stands"),
        ("undoes all at once", "hold is undone while the undo of pay is under way"),
        ("compensates while the pivot is undecided", "compensated, and the effect of ship stands"),
    ],
)
async def test_an_engine_with_a_fault_is_caught(monkeypatch: pytest.MonkeyPatch, fault: str, law: str) -> None:
    """The stories find what is wrong with an engine, not only with a definition."""
    right = compensation.needs_undo
    match fault:
        case "undoes in the wrong order":
            monkeypatch.setattr(compensation, "last_first", lambda blocks: blocks)
        case "forgets what is unknown":
            monkeypatch.setattr(compensation, "needs_undo", _only_known(right))
        case "undoes all at once":
            monkeypatch.setattr(compensation, "_is_under_way", lambda *_: False)
            monkeypatch.setattr(compensation, "needs_undo", _never_twice(right))
        case _:
            monkeypatch.setattr(advance, "pivot_undecided", lambda *_: False)
    coverage = await compensation_coverage(shop, ORDER, SUNNY)
    assert law in {broken for ending in coverage.endings for broken in ending.broken}


def _never_twice(right: NeedsUndo) -> NeedsUndo:
    return lambda step, current: right(step, current) and current is not None and current.undo is None
