"""Canonical scenarios, written by hand: small worlds whose every single crash is tried."""

from datetime import timedelta
from typing import Any

import msgspec

from saga.contract import Effect
from saga.core.definition import Attempt, Block, StepKind, When
from saga.core.expression import Compare, Literal, Ref, ScalarType
from saga.core.plan import Plan
from tests import builders as b
from tests.simulation.faults import Faults, Regime
from tests.simulation.workload import Planned, Workload

K = StepKind
CALM = Faults(regime=Regime.NO_DEADLINE)
"""Nothing goes wrong but the one crash."""


class Scenario(msgspec.Struct, frozen=True):
    """A world to crash in."""

    name: str
    plan: Plan
    faults: Faults = CALM


def _step(path: str, kind: StepKind = K.COMPENSATABLE, effect: Effect = Effect.INBOX, **changes: Any) -> Block:
    service = {"r": "alpha", "c": "beta", "b": "gamma"}.get(path[0], "alpha")
    patience: dict[str, Any] = {"timeout": timedelta(days=300), "within": None}
    return b.step(path, kind, service=service, effect=effect, **{**patience, **changes})


NUMBER = Ref("input", ("n",), ScalarType.INT)


def scenarios() -> list[Scenario]:
    """All of them."""
    refusing = msgspec.structs.replace(CALM, refuse=1.0)
    every_undo_twice = msgspec.structs.replace(CALM, refuse=0.5, duplicate=1.0, heal_after_seconds=60.0)
    at_least = Compare("ge", ScalarType.INT, NUMBER, Literal(msgspec.Raw(b"0")))
    reserve = _step("reserve", command=b.template("alpha", "Reserve", failures=()))
    bill = _step("bill", command=b.template("gamma", "Bill", failures=()))
    two = (reserve, _step("charge"))
    return [
        Scenario("one step, completes", b.plan(_step("reserve"))),
        Scenario("reserve, charge, book: completes", b.plan(_step("reserve"), _step("charge"), _step("book", K.PIVOT))),
        Scenario("charge is declined: reserve is undone", b.plan(*two), refusing),
        Scenario("half declined, every message twice", b.plan(*two, _step("book", K.PIVOT)), every_undo_twice),
        Scenario("a provider with a key", b.plan(*two, _step("cash", K.COMPENSATABLE, Effect.PROVIDER_KEY)), refusing),
        Scenario("a probe", b.plan(_step("charge", K.COMPENSATABLE, Effect.PROBE), _step("book", K.PIVOT))),
        Scenario("at most once", b.plan(_step("reserve"), _step("charge", K.COMPENSATABLE, Effect.AT_MOST_ONCE))),
        Scenario(
            "an attempt block goes the other way",
            b.plan(Attempt(path="pay", on=("Declined",), body=two, otherwise=(bill,))),
            refusing,
        ),
        Scenario("a condition", b.plan(When(path="w", condition=at_least, then=two), _step("book", K.PIVOT))),
        Scenario("cancelled", b.plan(*two, _step("book", K.PIVOT)), msgspec.structs.replace(CALM, cancel=1.0)),
        Scenario("paused and resumed", b.plan(*two), msgspec.structs.replace(CALM, pause=1.0)),
        Scenario(
            "after the pivot", b.plan(_step("reserve"), _step("book", K.PIVOT), _step("card", K.RETRYABLE)), refusing
        ),
    ]


def workload_of(plan: Plan) -> Workload:
    """One saga of this plan."""
    return Workload((Planned(plan, b'{"id":"o1","n":1}'),))
