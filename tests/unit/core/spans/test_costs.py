"""Costs on spans: what an answer told is on the span of what was answered, and the sum on the saga's own."""

from decimal import Decimal

import pytest

from saga.core import inputs as i
from saga.core.messages import Outcome, ReplyEffect
from saga.core.spans import Span
from saga.core.spans.tracing import rebuild
from saga.cost import Cost
from tests.builders import Case, plan, step

CENT: Cost = {"USD": Decimal("0.01")}
APPLIED = ReplyEffect.APPLIED


def costs(case: Case) -> list[tuple[str, str]]:
    """Names and costs of spans that have one, as they closed."""
    return [(span.name, value) for span in spans(case) if (value := cost_of(span))]


def spans(case: Case) -> tuple[Span, ...]:
    return rebuild(case.plan, case.commits)


def cost_of(span: Span) -> str:
    return str(dict(span.attributes).get("saga.cost", ""))


def test_an_attempt_has_what_its_answer_told() -> None:
    """One that was in vain too; the saga's own span has the sum."""
    case = Case(plan(step("a")))
    case.answer(case.sent(), Outcome.RETRY, code="unavailable", cost={"tokens": Decimal(5)})
    case.tick(10)
    case.ok("a", cost={**CENT, "tokens": Decimal(7)})
    assert costs(case) == [
        ("send saga.commands:a-service.A.v1", "5 tokens"),
        ("send saga.commands:a-service.A.v1", "0.01 USD, 7 tokens"),
        ("order", "0.01 USD, 12 tokens"),
    ]


def test_an_answer_of_an_earlier_attempt_is_on_the_step() -> None:
    """Its own attempt is closed already."""
    case = Case(plan(step("a")))
    first = case.sent()
    case.tick(31)
    case.tick(5)
    case.answer(first, Outcome.OK, effect=APPLIED, body=b'{"id":"x"}', cost=CENT)
    assert costs(case) == [("a", "0.01 USD"), ("order", "0.01 USD")]


def test_an_answer_between_two_attempts_is_on_the_step() -> None:
    """While it backs off, no attempt is open."""
    case = Case(plan(step("a")))
    first = case.sent()
    case.tick(31)
    case.answer(first, Outcome.OK, effect=APPLIED, body=b'{"id":"x"}', cost=CENT)
    assert costs(case) == [("a", "0.01 USD"), ("order", "0.01 USD")]


def test_what_parks_and_what_comes_late() -> None:
    """A refusal is on its attempt, an answer after the end on a span of its own."""
    case = Case(plan(step("a")))
    command = case.sent()
    case.answer(command, Outcome.REFUSED, code="in-doubt", cost=CENT)
    case.when(i.Abandon(now=case.now, actor="olga", reason="r"))
    case.answer(command, Outcome.OK, effect=APPLIED, cost=CENT)
    assert costs(case) == [
        ("send saga.commands:a-service.A.v1", "0.01 USD"),
        ("order", "0.01 USD"),
        ("late answer", "0.01 USD"),
    ]


def test_undos_and_failures() -> None:
    """A saga that was undone shows what it cost all the same."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a")
    case.failed("b", cost=CENT)
    case.ok("a", cost=CENT)
    assert costs(case) == [
        ("send saga.commands:b-service.B.v1", "0.01 USD"),
        ("send saga.commands:a-service.UndoA.v1", "0.01 USD"),
        ("order", "0.02 USD"),
    ]


@pytest.mark.parametrize(("cost", "shown"), [(None, []), ({}, [("send saga.commands:a-service.A.v1", "unreadable")])])
def test_no_cost_and_one_that_cannot_be_read(cost: Cost | None, shown: list[tuple[str, str]]) -> None:
    """Nothing is shown where nothing was told; what cannot be read is seen, without its text."""
    case = Case(plan(step("a")))
    case.ok("a", cost=cost)
    assert costs(case) == shown


def test_what_an_answer_in_a_deploy_gap_costs_is_on_the_back_off() -> None:
    """The attempt ended with the refusal, and asking again is not recorded: the open back-off has the cost."""
    case = Case(plan(step("a")))
    command = case.sent()
    case.answer(command, Outcome.REFUSED, code="unknown-command")
    case.answer(command, Outcome.RETRY, code="busy", cost=CENT)
    case.tick(120)
    case.ok("a", cost=CENT)
    assert [span.name for span in spans(case)].count("backoff") == 2
    assert costs(case) == [
        ("backoff", "0.01 USD"),
        ("send saga.commands:a-service.A.v1", "0.01 USD"),
        ("order", "0.02 USD"),
    ]
