"""Laws of costs: text and amounts say the same, sums are exact, and no text breaks the reader."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saga.core import events as e
from saga.core.plan import Plan
from saga.core.spans.tracing import rebuild
from saga.cost import (
    DIGITS_MAX,
    PATTERN,
    SUM_UNITS_MAX,
    TEXT_CHARACTERS_MAX,
    UNITS_MAX,
    Cost,
    added,
    read,
    spelt,
    with_amount,
)
from tests.property.test_core_laws import PLANS, RELAXED, SCRIPTS, played

UNITS = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,31}", fullmatch=True)
AMOUNTS = st.integers(0, 10 ** (2 * DIGITS_MAX) - 1).map(lambda n: Decimal(n).scaleb(-DIGITS_MAX)) | st.integers(
    0, 10**DIGITS_MAX - 1
).map(Decimal)

FEW_UNITS = st.integers(0, 2 * SUM_UNITS_MAX).map("unit{}".format)
"""Some of them meet again, and together they are too many."""


def of(told: list[tuple[Decimal, str]]) -> Cost:
    """What a handler tells, amount by amount."""
    cost: Cost = {}
    for amount, unit in told:
        cost = with_amount(cost, amount, unit)
    return cost


COSTS = st.lists(st.tuples(AMOUNTS, UNITS), min_size=1, max_size=UNITS_MAX, unique_by=lambda each: each[1]).map(of)


@given(COSTS)
def test_what_is_told_is_read(cost: Cost) -> None:
    """Every cost that can be told survives its text, which is within its limit and its published pattern."""
    text = spelt(cost)
    assert read(text) == cost
    assert spelt(read(text)) == text
    assert len(text) <= TEXT_CHARACTERS_MAX
    assert re.search(PATTERN, text)


@given(st.from_regex(PATTERN, fullmatch=True))
def test_a_text_of_the_pattern_is_read_or_names_a_unit_twice(text: str) -> None:
    """The pattern that others see leaves nothing out but that each unit stands there once."""
    pairs = [item.strip().split(" ") for item in text.split(",")]
    if len({unit for _, unit in pairs}) < len(pairs):
        with pytest.raises(ValueError, match="twice"):
            read(text)
        return
    assert {unit: Fraction(amount) for unit, amount in read(text).items()} == {
        unit: Fraction(amount) for amount, unit in pairs
    }


@given(st.text(max_size=60) | st.text("0123456789., USDtokens-_+eE\n\0", max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    """Whatever is sent is read as what the pattern describes, or refused as a ValueError."""
    try:
        cost = read(text)
    except ValueError:
        return
    assert re.search(PATTERN, text)
    assert not text.endswith("\n")
    assert all(amount >= 0 for amount in cost.values())


@given(st.lists(st.dictionaries(FEW_UNITS, AMOUNTS, min_size=1, max_size=UNITS_MAX), max_size=8))
@example([{f"unit{8 * n + unit}": Decimal(1) for unit in range(8)} for n in range(5)])
def test_sums_are_exact_and_bounded(costs: list[Cost]) -> None:
    """A sum has what its parts have, to the last digit and in any order, in so many units at most."""
    total = added(costs)
    parts = sum((Fraction(amount) for cost in costs for amount in cost.values()), Fraction(0))
    assert sum(map(Fraction, total.values()), Fraction(0)) == parts
    assert len(total) <= SUM_UNITS_MAX
    if len({unit for cost in costs for unit in cost}) < SUM_UNITS_MAX:
        assert added(reversed(costs)) == total


@given(PLANS, SCRIPTS)
@RELAXED
def test_each_recorded_cost_is_on_one_span(of: Plan, script: list[tuple[Any, ...]]) -> None:
    """Whatever the history: those of its answers once each, and their sum on the saga's span if that has ended."""
    case = played(of, script)
    told = [event.cost for commit in case.commits for event in commit if isinstance(event, e.Costly)]
    spans = rebuild(case.plan, case.commits)
    shown = [(dict(span.attributes).get("saga.status"), dict(span.attributes).get("saga.cost")) for span in spans]
    single = [str(cost) for status, cost in shown if status is None and cost is not None]
    assert sorted(single) == sorted(spelt(cost) or "unreadable" for cost in told if cost is not None)
    sums = [str(cost) for status, cost in shown if status is not None and cost is not None]
    late = [isinstance(event, e.LateReply | e.ContradictoryReply) for event in case.commits[-1]]
    if case.state.terminal and case.state.cost and not any(late):
        assert sums == [spelt(case.state.cost)]
