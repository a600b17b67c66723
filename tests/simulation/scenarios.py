"""Canonical scenarios, written by hand: small worlds whose every single crash is tried.

`structured_scenarios` are those of branches, items, sub-sagas, approvals and timers.
"""

import msgspec

from saga.contract import Effect
from saga.core.blocks import Attempt, Join, StepKind, When
from saga.core.expression import Compare, Literal, Ref, ScalarType
from saga.core.plan import Plan
from saga.core.state import Phase
from tests import builders as b
from tests.simulation.faults import Faults, Regime
from tests.simulation.scenes import approved, below, branches, child, in_time, items, paid, sleep, step, sure
from tests.simulation.workload import Planned, Workload

K = StepKind
CALM = Faults(regime=Regime.NO_DEADLINE)
"""Nothing goes wrong but the one crash."""
REFUSING = msgspec.structs.replace(CALM, refuse=1.0)
DONE, UNDONE = Phase.COMPLETED, Phase.COMPENSATED


class Scenario(msgspec.Struct, frozen=True):
    """A world to crash in."""

    name: str
    plan: Plan
    faults: Faults = CALM
    children: tuple[Plan, ...] = ()
    ends: Phase | None = None
    """Without a crash; None where it is a matter of the seed."""
    seed: int = 7
    structured: bool = False
    """Whether people and others outside are asked for anything."""


INPUT = b'{"id":"o1","n":1,"items":[{"n":0},{"n":1}]}'
NUMBER = Ref("input", ("n",), ScalarType.INT)


def scenarios() -> list[Scenario]:
    """All of them."""
    refusing = msgspec.structs.replace(CALM, refuse=1.0)
    every_undo_twice = msgspec.structs.replace(CALM, refuse=0.5, duplicate=1.0, heal_after_seconds=60.0)
    at_least = Compare("ge", ScalarType.INT, NUMBER, Literal(msgspec.Raw(b"0")))
    reserve, bill = sure("reserve"), sure("bill")
    two = (reserve, step("charge"))
    return [
        Scenario("one step, completes", b.plan(step("reserve"))),
        Scenario("reserve, charge, book: completes", b.plan(step("reserve"), step("charge"), step("book", K.PIVOT))),
        Scenario("charge is declined: reserve is undone", b.plan(*two), refusing),
        Scenario("half declined, every message twice", b.plan(*two, step("book", K.PIVOT)), every_undo_twice),
        Scenario("a provider with a key", b.plan(*two, step("cash", K.COMPENSATABLE, Effect.PROVIDER_KEY)), refusing),
        Scenario("a probe", b.plan(step("charge", K.COMPENSATABLE, Effect.PROBE), step("book", K.PIVOT))),
        Scenario("at most once", b.plan(step("reserve"), step("charge", K.COMPENSATABLE, Effect.AT_MOST_ONCE))),
        Scenario(
            "an attempt block goes the other way",
            b.plan(Attempt(path="pay", on=("Declined",), body=two, otherwise=(bill,))),
            refusing,
        ),
        Scenario("a condition", b.plan(When(path="w", condition=at_least, then=two), step("book", K.PIVOT))),
        Scenario("cancelled", b.plan(*two, step("book", K.PIVOT)), msgspec.structs.replace(CALM, cancel=1.0)),
        Scenario("paused and resumed", b.plan(*two), msgspec.structs.replace(CALM, pause=1.0)),
        Scenario(
            "after the pivot", b.plan(step("reserve"), step("book", K.PIVOT), step("card", K.RETRYABLE)), refusing
        ),
        *structured_scenarios(),
        *families(),
    ]


def structured_scenarios() -> list[Scenario]:
    """Everything that stands around steps; what stands behind it is declined, so that it is undone."""
    charge, rent = step("charge"), sure("rent")
    asked = below("asked", sure("account"), *approved("review", sure("badge")), sleep("night", 600))
    both = (sure("r1"), sure("r2")), (sure("b1"), sure("b2"))
    first = branches(*both, join=Join.ANY)
    failing, waiting = branches(both[0], (charge,)), branches(both[0], (charge,), finish=True)
    calm = b.plan(*approved("g", rent), paid("v"), sleep("z", 600))
    everything = branches(
        (items(sure("e/reserve"), sure("e/book")),),
        (child("access", asked),),
        (in_time("t", sleep("z", 60), paid("v"), *approved("g", rent)),),
    )
    return [
        Scenario("branches, undone side by side", b.plan(branches(*both), charge), REFUSING, ends=UNDONE),
        Scenario("a branch fails beside another one", b.plan(failing), REFUSING, ends=UNDONE),
        Scenario("a branch fails, the other one finishes", b.plan(waiting), REFUSING, ends=UNDONE),
        Scenario("the first of two branches", b.plan(first, step("book", K.PIVOT)), ends=DONE),
        Scenario("items, undone", b.plan(items(sure("e/r1"), sure("e/b1")), charge), REFUSING, ends=UNDONE),
        Scenario("an approval, a signal, a timer", calm, structured=True),
        Scenario("everything at once completes", b.plan(everything), children=(asked,), ends=DONE, seed=8),
        Scenario("everything at once is undone", b.plan(everything, charge), REFUSING, (asked,), UNDONE, seed=8),
    ]


def families() -> list[Scenario]:
    """Sub-sagas, which are undone as units."""
    charge = step("charge")
    access = below("access", sure("account"), sure("badge"))
    slow = below("slow", sure("account"), sleep("night", 3_600), sure("badge"))
    outer = below("outer", sure("account"), child("inner", access), sure("badge"))
    completes = b.plan(child("access", access), step("book", K.PIVOT))
    grandchild = b.plan(child("outer", outer), charge)
    cancelled = b.plan(branches((child("slow", slow),), (charge,)))
    awaited = b.plan(branches((child("slow", slow, "wait"),), (charge,)))
    return [
        Scenario("a sub-saga completes", completes, children=(access,), ends=DONE),
        Scenario("a completed sub-saga is undone", b.plan(child("a", access), charge), REFUSING, (access,), UNDONE),
        Scenario("a sub-saga of a sub-saga is undone", grandchild, REFUSING, (outer, access), UNDONE),
        Scenario("a running sub-saga is cancelled", cancelled, REFUSING, (slow,), UNDONE),
        Scenario("a running sub-saga is awaited, then undone", awaited, REFUSING, (slow,), UNDONE),
    ]


def workload_of(scenario: Scenario) -> Workload:
    """One saga of its plan."""
    children = {plan.definition.name: plan for plan in scenario.children}
    structured = scenario.structured or bool(children)
    return Workload((Planned(scenario.plan, INPUT),), children, structured)
