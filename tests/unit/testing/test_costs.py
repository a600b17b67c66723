"""Costs in the test kit: scripted participants tell what their work cost, and a run has the sum."""

from decimal import Decimal

import pytest

from saga.core import events as e
from saga.testing import ROUGH, answered, costing, event, given, lost, play, retry, started, succeeded, twice
from tests.unit.testing.shop import ORDER, SUNNY, Done, shop

CENT = {"USD": Decimal("0.01")}


async def test_a_run_has_what_its_answers_told() -> None:
    """Those that were in vain, and those that were done."""
    answers = {**SUNNY, "hold": [costing("0.01 USD", retry()), costing("0.02 USD, 7 tokens", Done())]}
    run = await play(shop, ORDER, answers)
    assert run.cost == {"USD": Decimal("0.03"), "tokens": Decimal(7)}
    assert run.status == "completed"


async def test_an_answer_that_is_given_again_costs_once() -> None:
    """A command that comes twice, and one whose answer was lost: the inbox tells the same again."""
    for mishap in (twice, lost):
        run = await play(shop, ORDER, {**SUNNY, "hold": mishap(costing("0.01 USD", Done()))})
        assert (run.cost, run.broken_laws()) == (CENT, [])


async def test_a_rough_network_changes_no_cost() -> None:
    """However often messages are lost and come twice, a step that is done once costs once."""
    for seed in range(20):
        run = await play(shop, ORDER, {**SUNNY, "hold": costing("0.01 USD", Done())}, seed=seed, network=ROUGH)
        assert run.status == "completed"
        assert run.cost == CENT


def test_one_decision_records_a_cost() -> None:
    """Expected like any other field."""
    case = given(shop, started(ORDER)).when(answered("note", costing("0.010 USD", Done())))
    case.then_among_others(event(e.StepSucceeded, path="note", cost=CENT))
    case.then_among_others(succeeded("note"))


def test_a_text_that_is_no_cost_is_a_mistake_of_the_test() -> None:
    """Found where it is written."""
    with pytest.raises(ValueError, match="no cost"):
        costing("much")
