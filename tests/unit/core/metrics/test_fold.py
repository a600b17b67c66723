"""What committed events count as: given a history, then these numbers and no others."""

from datetime import timedelta

import pytest

from saga.core import events as e
from saga.core import inputs as i
from saga.core.definition import OnExhausted, RetryPolicy
from saga.core.messages import Kind, Outcome, ReplyEffect
from saga.core.metrics import catalogue as m
from saga.core.metrics.fold import count
from saga.core.metrics.tally import Tallies
from tests.builders import NOW, Case, after, plan, raw, step
from tests.metrics import counted, points, tallied
from tests.unit.core.test_approvals import decision, letter
from tests.unit.core.test_children import asks, child

TWO = plan(step("reserve"), step("charge"))
RESERVE, CHARGE = ("order", "reserve", "action"), ("order", "charge", "action")
UNDO = ("order", "reserve", "compensation")
SECRET = "hunter2"


def of(case: Case) -> Tallies:
    return tallied(case.plan, case.commits)


def test_a_saga_that_completes() -> None:
    """Started, ended, each step asked once and timed by what was recorded and what the participant said."""
    case = Case(TWO)
    case.pass_time(3)
    case.ok(handler_time=timedelta(seconds=1))
    case.ok(handler_time=timedelta(milliseconds=20))
    found = of(case)
    assert counted(found, m.STARTED) == {("order",): 1}
    assert counted(found, m.ENDED) == {("order", "completed"): 1}
    assert points(found, m.DURATION)["order", "completed"].value == 3.0
    assert counted(found, m.ATTEMPTS) == {
        (*RESERVE, "reserve-service.Reserve.v1"): 1,
        (*CHARGE, "charge-service.Charge.v1"): 1,
    }
    assert points(found, m.STEP_DURATION)[*RESERVE, "ok"].value == 3.0
    assert points(found, m.HANDLER)[RESERVE].value == 1.0
    assert points(found, m.QUEUE_WAIT)[RESERVE].value == 2.0
    assert points(found, m.QUEUE_WAIT)[CHARGE].value == 0.0  # it says it worked longer than it took
    assert [counted(found, nothing) for nothing in (m.FAILURES, m.COMPENSATING, m.PARKED, m.REPLAYED)] == [{}] * 4


def test_a_declared_failure_and_what_it_undoes() -> None:
    """The failure by its name in the definition, why the saga compensates, and how long that took."""
    case = Case(TWO)
    case.ok()
    case.failed()
    case.pass_time(7)
    case.ok()
    found = of(case)
    assert counted(found, m.FAILURES) == {(*CHARGE, "failed", "Declined"): 1}
    assert counted(found, m.COMPENSATING) == {("order", "failed"): 1}
    assert points(found, m.COMPENSATION_DURATION)["order",].value == 7.0
    assert counted(found, m.STEP_DURATION)[*UNDO, "ok"] == 1
    assert counted(found, m.ATTEMPTS)[*UNDO, "reserve-service.UndoReserve.v1"] == 1
    assert counted(found, m.ENDED) == {("order", "compensated"): 1}


def test_attempts_in_vain_by_class() -> None:
    """A timeout, a transient failure whose word is nobody's business, a busy key, a refusal; the last one parks."""
    patient = RetryPolicy(attempts=4, first=timedelta(seconds=1))
    case = Case(plan(step("reserve", retry=patient, timeout=timedelta(seconds=30))))
    case.tick(31)
    case.tick(10)
    case.answer(case.sent(), Outcome.RETRY, code=SECRET)
    case.tick(100)
    case.answer(case.sent(), Outcome.RETRY, code="busy")
    case.tick(1_000)
    case.answer(case.sent(), Outcome.REFUSED, code="unknown-command")
    case.tick(1_000)
    case.answer(case.sent(), Outcome.REFUSED, code="expired")
    case.tick(1_000)
    case.answer(case.sent(), Outcome.RETRY, code="unavailable")
    found = of(case)
    assert counted(found, m.FAILURES) == {
        (*RESERVE, "timeout", ""): 1,
        (*RESERVE, "retry", "other"): 1,
        (*RESERVE, "busy", ""): 1,
        (*RESERVE, "refused", "unknown-command"): 1,
        (*RESERVE, "refused", "expired"): 1,
        (*RESERVE, "exhausted", ""): 1,
    }
    assert counted(found, m.PARKED) == {(*RESERVE, "exhausted"): 1}
    assert SECRET not in str(found.read())


def test_a_step_that_gives_way() -> None:
    """Exhausted, and the saga goes back: no operator is asked."""
    once = RetryPolicy(attempts=1)
    case = Case(plan(step("reserve", retry=once, on_exhausted=OnExhausted.COMPENSATE)))
    case.answer(case.sent(), Outcome.RETRY, code="unavailable")
    found = of(case)
    assert counted(found, m.FAILURES) == {(*RESERVE, "exhausted", ""): 1}
    assert counted(found, m.COMPENSATING) == {("order", "exhausted"): 1}
    assert counted(found, m.PARKED) == {}


def test_a_failure_nobody_declared_is_other() -> None:
    """A participant may send any word as its code."""
    case = Case(plan(step("reserve")))
    case.failed(code=SECRET)
    assert counted(of(case), m.FAILURES) == {(*RESERVE, "failed", "other"): 1}


def test_an_answer_from_the_inbox_is_a_duplicate_absorbed() -> None:
    """The effect says so."""
    case = Case(TWO)
    case.ok(effect=ReplyEffect.REPLAYED)
    assert counted(of(case), m.REPLAYED) == {RESERVE: 1}


def test_late_and_contradictory_answers() -> None:
    """Each once, as the history has them."""
    case = Case(plan(step("reserve"), step("charge")))
    reserve = case.sent()
    case.ok()
    case.answer(reserve, Outcome.FAILED, code="Declined")
    late = case.sent()
    case.when(i.Cancel(now=case.now, request="r", by="olga", actor="olga", reason=SECRET))
    undo = case.sent("charge")
    case.answer(undo, Outcome.OK, effect=ReplyEffect.NONE)
    case.answer(late, Outcome.FAILED, code="Declined")
    found = of(case)
    recorded = [type(event).__name__ for commit in case.commits for event in commit]
    assert counted(found, m.CONTRADICTORY) == {RESERVE: recorded.count("ContradictoryReply")} == {RESERVE: 1}
    assert counted(found, m.LATE) == {CHARGE: recorded.count("LateReply")} == {CHARGE: 1}
    assert SECRET not in str(found.read())


def test_operators_move_parked_steps_and_abandon_sagas() -> None:
    """By their verdict; what they say settles a step, and is no answer that took time."""
    case = Case(plan(step("reserve", retry=RetryPolicy(attempts=1)), step("charge")))
    case.answer(case.sent(), Outcome.RETRY, code="x")
    case.when(
        i.Resolve(
            now=case.now,
            path="reserve",
            verdict=i.Verdict.APPLIED,
            actor="olga",
            reason=SECRET,
            evidence=SECRET,
            reply=b'{"id":"x"}',
        )
    )
    case.when(i.Abandon(now=case.now, actor="olga", reason=SECRET))
    found = of(case)
    assert counted(found, m.RELEASED) == {(*RESERVE, "applied"): 1}
    assert counted(found, m.STEP_DURATION) == {}
    assert counted(found, m.ENDED) == {("order", "abandoned"): 1}
    assert SECRET not in str(found.read())


def test_approvals() -> None:
    """Asked for and closed, by the block that asks."""
    case = letter()
    case.when(decision(case))
    found = of(case)
    assert counted(found, m.APPROVALS_REQUESTED) == {("order", "review"): 1}
    assert counted(found, m.APPROVALS_CLOSED) == {("order", "review", "approved"): 1}


def test_a_completed_child_that_is_undone_ends_twice() -> None:
    """Each end counts; the second took from the parent's wish on."""
    case = child()
    case.ok("a")
    case.ok("b")
    asks(case, Kind.COMPENSATION)
    case.pass_time(2)
    case.ok("b")
    case.ok("a")
    found = of(case)
    assert counted(found, m.ENDED) == {("order", "completed"): 1, ("order", "compensated"): 1}
    assert counted(found, m.COMPENSATING) == {("order", "parent"): 1}
    assert points(found, m.COMPENSATION_DURATION)["order",].value == 2.0


def test_a_child_undone_before_it_began_is_a_tombstone() -> None:
    """It never ran: nobody abandoned it."""
    found = Tallies()
    case = child()
    gone = e.SagaAbandoned(at=NOW, actor="saga", reason="undone before it began", tombstone=True)
    count(found, case.plan, None, case.state, (gone,))
    assert counted(found, m.ENDED) == {("order", "tombstone"): 1}


@pytest.mark.parametrize("path", ["seats[0]/add", "seats[41]/add", "draft#3/add"])
def test_items_and_turns_are_one_step(path: str) -> None:
    """Their index is of one run."""
    found = Tallies()
    case = Case(TWO)
    issued = e.CommandIssued(
        at=NOW, path=path, kind=Kind.ACTION, execution=1, body=raw(f'"{SECRET}"'), due_at=after(30)
    )
    count(found, case.plan, case.state, case.state, (issued,))
    [(labels, number)] = counted(found, m.ATTEMPTS).items()
    assert labels[1] in {"seats/add", "draft/add"}
    assert (labels[3], number) == ("other", 1)
    assert SECRET not in str(found.read())


def test_the_wait_of_a_deploy_gap_is_no_wait_in_a_queue() -> None:
    """The answer is to an attempt that was sent long before, and again since then: only the whole time is known."""
    case = Case(plan(step("reserve")))
    command = case.sent()
    case.answer(command, Outcome.REFUSED, code="unknown-command")
    case.pass_time(3_600)
    case.answer(command, Outcome.OK, handler_time=timedelta(seconds=1))
    found = of(case)
    assert counted(found, m.HANDLER) == {RESERVE: 1}
    assert counted(found, m.QUEUE_WAIT) == {}
