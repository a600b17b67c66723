"""What answers cost: given a saga, when an answer tells its cost, then it is recorded once, whatever the answer is."""

from datetime import timedelta
from decimal import Decimal

from saga.contract import Effect
from saga.core import events as e
from saga.core import inputs as i
from saga.core.definition import OnExhausted, RetryPolicy
from saga.core.messages import Outcome, RefusedCode, ReplyEffect
from saga.cost import Cost
from tests.builders import Case, names, plan, step

CENT: Cost = {"USD": Decimal("0.01")}
APPLIED = ReplyEffect.APPLIED


def recorded(case: Case) -> list[tuple[str, Cost]]:
    """Events that have a cost, in order."""
    return [
        (type(event).__name__, event.cost)
        for commit in case.commits
        for event in commit
        if isinstance(event, e.Costly) and event.cost is not None
    ]


def test_a_definite_answer_costs() -> None:
    """Done, refused, and undone: each of them tells its own."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a", cost=CENT)
    case.failed("b", cost=CENT)
    case.ok("a", cost=CENT)
    assert [name for name, _ in recorded(case)] == ["StepSucceeded", "StepFailed", "CompensationSucceeded"]
    assert case.state.cost == {"USD": Decimal("0.03")}


def test_what_tells_no_cost_records_none() -> None:
    """The history of such a saga has the bytes it always had."""
    case = Case(plan(step("a")))
    case.ok("a")
    assert recorded(case) == []
    assert b"cost" not in e.encode(case.commits[-1])
    assert case.state.cost == {}


def test_an_answer_in_vain_costs_as_well() -> None:
    """A model was asked and its output was unusable: it is tried again, and paid for twice."""
    case = Case(plan(step("a")))
    case.answer(case.sent(), Outcome.RETRY, code="bad-reply", cost=CENT)
    case.tick(10)
    case.ok("a", cost=CENT)
    assert [name for name, _ in recorded(case)] == ["AttemptEnded", "StepSucceeded"]
    assert case.state.cost == {"USD": Decimal("0.02")}


def test_the_last_answer_in_vain_costs() -> None:
    """Where attempts are used up, what is recorded of the answer is that the step parks, or gives way."""
    once = RetryPolicy(attempts=1)
    for gives_up, name in ((OnExhausted.PARK, "StepParked"), (OnExhausted.COMPENSATE, "StepExhausted")):
        case = Case(plan(step("a", retry=once, on_exhausted=gives_up)))
        case.answer(case.sent(), Outcome.RETRY, code="unavailable", cost=CENT)
        assert recorded(case) == [(name, CENT)]


def test_a_refusal_that_parks_costs() -> None:
    """The handler did its work and could not tell what came of it."""
    case = Case(plan(step("a", effect=Effect.AT_MOST_ONCE)))
    case.answer(case.sent(), Outcome.REFUSED, code=RefusedCode.IN_DOUBT, cost=CENT)
    assert recorded(case) == [("StepParked", CENT)]


def test_two_facts_of_one_answer_cost_once() -> None:
    """An undo that declares a failure is recorded and parks its step."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a")
    case.failed("b")
    case.failed("a", cost=CENT)
    assert recorded(case) == [("CompensationFailed", CENT)]
    assert case.state.cost == CENT


def test_a_duplicate_costs_nothing() -> None:
    """Each answer is delivered twice, and counts once."""
    case = Case(plan(step("a"), step("b")))
    command = case.sent()
    for _ in range(2):
        case.answer(command, Outcome.RETRY, code="unavailable", cost=CENT)
    case.tick(10)
    command = case.sent()
    for effect in (APPLIED, ReplyEffect.REPLAYED):
        case.answer(command, Outcome.OK, effect=effect, cost=CENT)
    assert case.state.cost == {"USD": Decimal("0.02")}


def test_a_late_answer_costs_once() -> None:
    """It changes nothing any more, but the money is gone."""
    case = Case(plan(step("a", timeout=timedelta(seconds=30))))
    command = case.sent()
    case.when(i.Abandon(now=case.now, actor="olga", reason="r"))
    for _ in range(2):
        case.answer(command, Outcome.OK, effect=APPLIED, cost=CENT)
    assert recorded(case) == [("LateReply", CENT)]
    assert case.state.cost == CENT


def test_a_cost_that_cannot_be_read_is_seen() -> None:
    """The answer counts; that its cost does not stands in the history."""
    case = Case(plan(step("a")))
    case.ok("a", cost={})
    assert recorded(case) == [("StepSucceeded", {})]
    assert b'"cost":{}' in e.encode(case.commits[-1])
    assert (case.state.cost, case.state.costs_unreadable) == ({}, 1)


def test_an_answer_that_was_late_and_then_counts_costs_once() -> None:
    """While a step is undone its answer is late; once the undo stands in doubt, the same answer settles the doubt."""
    case = Case(plan(step("a", effect=Effect.AT_MOST_ONCE)))
    action = case.sent()
    case.when(i.Cancel(now=case.now, request="c", by="operator", actor=None, reason="r"))
    case.answer(action, Outcome.OK, effect=APPLIED, cost=CENT)
    case.answer(case.sent(), Outcome.REFUSED, code=RefusedCode.IN_DOUBT)
    case.answer(action, Outcome.OK, effect=ReplyEffect.REPLAYED, cost=CENT)
    assert names(event for commit in case.commits for event in commit)[-2:] == ["StepSucceeded a", "CommandRepeated a"]
    assert recorded(case) == [("LateReply", CENT)]
    assert case.state.cost == CENT


def test_copies_of_an_answer_that_was_overruled_cost_nothing() -> None:
    """A failed undo is declared done by a person; the same answer again is a contradiction, and is not paid twice."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a")
    case.failed("b")
    undo = case.sent("a")
    case.answer(undo, Outcome.FAILED, code="WindowClosed", cost=CENT)
    case.when(
        i.Resolve(now=case.now, path="a", verdict=i.Verdict.APPLIED, actor="olga", reason="r", evidence="by hand")
    )
    case.answer(undo, Outcome.FAILED, code="WindowClosed", cost=CENT)
    assert names(event for commit in case.commits for event in commit)[-1] == "ContradictoryReply a"
    assert recorded(case) == [("CompensationFailed", CENT)]


def test_copies_of_an_undo_that_found_nothing_cost_nothing() -> None:
    """It is recorded as a failure of the undo, so its copies contradict what is recorded."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a")
    case.failed("b")
    undo = case.sent("a")
    for _ in range(2):
        case.answer(undo, Outcome.OK, effect=ReplyEffect.NONE, cost=CENT)
    assert recorded(case) == [("CompensationFailed", CENT)]
    assert case.state.cost == CENT
