"""Costs as metrics: given answers that tell one, then sums by step and unit, in a bounded number of units."""

from decimal import Decimal

from saga.core.messages import Outcome
from saga.core.metrics import catalogue as m
from saga.core.metrics.shape import COST_UNITS_MAX, OTHER
from saga.core.metrics.tally import Tallies
from saga.cost import Cost
from tests.builders import Case, plan, step
from tests.metrics import counted, tallied

CENT: Cost = {"USD": Decimal("0.01")}
A, UNDO_A, B = ("order", "a", "action"), ("order", "a", "compensation"), ("order", "b", "action")


def test_costs_add_up_by_step_and_unit() -> None:
    """What was done, tried in vain, refused and undone: each where it belongs."""
    case = Case(plan(step("a"), step("b")))
    case.answer(case.sent(), Outcome.RETRY, code="unavailable", cost={"tokens": Decimal(5)})
    case.tick(10)
    case.ok("a", cost={**CENT, "tokens": Decimal(7)})
    case.failed("b", cost=CENT)
    case.ok("a", cost=CENT)
    found = tallied(case.plan, case.commits)
    assert counted(found, m.COST) == {
        (*A, "USD"): 0.01,
        (*A, "tokens"): 12,
        (*B, "USD"): 0.01,
        (*UNDO_A, "USD"): 0.01,
    }
    assert counted(found, m.COST_UNREADABLE) == {}


def test_answers_without_a_cost_make_no_series() -> None:
    """A saga whose steps tell none is counted as before."""
    case = Case(plan(step("a")))
    case.ok("a")
    assert counted(tallied(case.plan, case.commits), m.COST) == {}


def test_a_cost_that_cannot_be_read_is_counted() -> None:
    """As one answer, in no sum."""
    case = Case(plan(step("a")))
    case.ok("a", cost={})
    found = tallied(case.plan, case.commits)
    assert counted(found, m.COST_UNREADABLE) == {A: 1}
    assert counted(found, m.COST) == {}


def test_units_beyond_a_number_are_other() -> None:
    """A participant that makes up units costs so many series and no more; those that were there first keep theirs."""
    tallies = Tallies()
    units = [f"u{number}" for number in range(COST_UNITS_MAX)]
    assert [tallies.cost_unit(unit) for unit in units] == units
    assert tallies.cost_unit("one-more") == OTHER
    assert tallies.cost_unit(units[0]) == units[0]
