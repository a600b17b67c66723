"""What people may say of a saga, and what follows: given a history, when a verdict, then events."""

from datetime import timedelta

import pytest

from saga.contract import Effect
from saga.core import inputs as i
from saga.core.definition import Attempt, OnUndoFailed, RetryPolicy, StepKind
from saga.core.events import ParkCode
from saga.core.expression import Object, Ref, ScalarType
from saga.core.inputs import Verdict
from saga.core.messages import Kind, Outcome, RefusedCode, ReplyEffect
from saga.core.operate import objection
from saga.core.outstanding import outstanding, waits
from saga.core.state import Phase
from tests.builders import INPUT_ID, Case, names, plan, step, template

K = StepKind


def resolve(case: Case, path: str, verdict: Verdict, **changes: object) -> i.Resolve:
    fields = {"reason": "looked", "evidence": "their books", "actor": "olga", **changes}
    return i.Resolve(now=case.now, path=path, verdict=verdict, **fields)  # type: ignore[arg-type]  # a dict of texts


def broke_off(case: Case, path: str) -> None:
    """The handler raised: whether it happened is not known, and it may not be done twice."""
    case.answer(case.sent(path), Outcome.RETRY, code="handler-error")


def parked_in_doubt(*, undone: bool = False) -> Case:
    """The service of the at-most-once `call` cannot tell whether it happened; with `undone` the saga is cancelled, and
    the service cannot tell it to the undo either."""
    case = Case(plan(step("call", effect=Effect.AT_MOST_ONCE), step("charge")))
    if undone:
        cancel(case)
    case.answer(case.sent("call"), Outcome.REFUSED, code=RefusedCode.IN_DOUBT)
    return case


def cancel(case: Case) -> None:
    case.when(i.Cancel(now=case.now, request="c", by="operator", actor=None, reason="r"))


def test_a_lost_answer_of_an_at_most_once_step_is_no_doubt() -> None:
    """It is asked again under its key: its service knows whether it began; only a real doubt goes to a person."""
    case = Case(plan(step("call", effect=Effect.AT_MOST_ONCE)))
    case.tick(31)
    assert case.state.parked == {}
    assert parked_in_doubt().state.parked["call"].code is ParkCode.IN_DOUBT


def test_retry_of_a_doubt_is_refused() -> None:
    """Nobody may repeat what can only be done once; the refusal says what fits instead."""
    case = parked_in_doubt()
    assert "applied, not-applied or undo" in (
        objection(case.plan, case.state, resolve(case, "call", Verdict.RETRY)) or ""
    )


def test_applied_goes_on() -> None:
    """With evidence that it happened, the next step begins."""
    case = parked_in_doubt()
    events = case.when(resolve(case, "call", Verdict.APPLIED, reply=b'{"id":"x"}'))
    assert names(events) == ["StepReleased call", "StepSucceeded call", "CommandIssued charge"]


def test_not_applied_does_it_again_under_a_new_key() -> None:
    """With evidence that it did not happen, it is asked again as the next execution."""
    case = parked_in_doubt()
    first = case.state.steps["call"].action.number
    events = case.when(resolve(case, "call", Verdict.NOT_APPLIED))
    assert names(events) == ["StepReleased call", "StepFailed call", "CommandIssued call"]
    assert case.sent("call").execution == first + 1


def test_verdicts_need_evidence() -> None:
    """Applied and not-applied without evidence are refused."""
    case = parked_in_doubt()
    for verdict in (Verdict.APPLIED, Verdict.NOT_APPLIED):
        for evidence in ("", " "):
            given = resolve(case, "call", verdict, evidence=evidence)
            assert "needs evidence" in (objection(case.plan, case.state, given) or "")


def test_a_late_ok_ends_the_doubt_before_an_undo() -> None:
    """An answer that arrives while compensation stands at a doubt moves it on; no person is needed any more."""
    case = Case(plan(step("call", effect=Effect.AT_MOST_ONCE), step("charge")))
    command = case.sent("call")
    cancel(case)
    case.answer(case.sent("call"), Outcome.REFUSED, code=RefusedCode.IN_DOUBT)
    assert case.state.parked["call"].kind is Kind.COMPENSATION
    events = case.answer(command, Outcome.OK, effect=ReplyEffect.APPLIED, body=b'{"id":"x"}')
    assert names(events) == ["StepSucceeded call", "CommandRepeated call"]
    assert case.sent("call").undoes_outcome == "ok"


def test_a_copy_of_a_refused_undo_that_ran_after_all_is_the_undo() -> None:
    """A refusal never settles: what was sent before may still run, so the undo goes on under the key it has.

    Seed 1046401 of the simulation: under a new key the effect was undone twice.
    """
    case = Case(plan(step("call", effect=Effect.AT_MOST_ONCE)))
    cancel(case)
    undo = case.sent("call")
    case.answer(undo, Outcome.REFUSED, code=RefusedCode.IN_DOUBT)
    case.when(resolve(case, "call", Verdict.APPLIED, reply=b'{"id":"x"}'))
    again = case.sent("call")
    assert (again.key, again.body, again.type_name) == (undo.key, undo.body, undo.type_name)
    events = case.answer(undo, Outcome.OK, effect=ReplyEffect.APPLIED)
    assert names(events) == ["CompensationSucceeded call", "SagaCompensated"]


def test_a_late_failed_ends_the_doubt_before_an_undo() -> None:
    """A definite refusal leaves nothing to undo and nothing to look at."""
    case = Case(plan(step("call", effect=Effect.AT_MOST_ONCE)))
    command = case.sent("call")
    cancel(case)
    case.answer(case.sent("call"), Outcome.REFUSED, code=RefusedCode.IN_DOUBT)
    assert names(case.answer(command, Outcome.FAILED, code="Declined")) == ["StepFailed call", "SagaCompensated"]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.APPLIED, ["StepReleased call", "StepSucceeded call", "CommandRepeated call"]),
        (Verdict.NOT_APPLIED, ["StepReleased call", "StepFailed call", "SagaCompensated"]),
    ],
)
def test_a_doubt_before_an_undo(verdict: Verdict, expected: list[str]) -> None:
    """Applied is undone as known, not-applied is passed over."""
    case = parked_in_doubt(undone=True)
    assert names(case.when(resolve(case, "call", verdict, reply=b'{"id":"x"}'))) == expected


def forgotten_block() -> Case:
    """The block gave up after so long that its service may have forgotten `charge`: a doubt before a block's undo."""
    slow = step("charge", retry=RetryPolicy(attempts=1), timeout=timedelta(days=25), within=timedelta(days=60))
    block = Attempt(path="pay", on=("exhausted",), body=(slow,), otherwise=(step("bill"),))
    case = Case(plan(block, deadline=timedelta(days=90)))
    case.tick(25 * 86_400 + 1)
    assert case.state.parked["charge"].code is ParkCode.KEY_FORGOTTEN
    return case


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.NOT_APPLIED, ["StepReleased charge", "StepFailed charge", "BlockUndone pay", "CommandIssued bill"]),
        (Verdict.APPLIED, ["StepReleased charge", "StepSucceeded charge", "CommandIssued charge"]),
    ],
)
def test_a_doubt_before_the_undo_of_a_block_is_about_the_block(verdict: Verdict, expected: list[str]) -> None:
    """What is given up is not done again, and the saga is not compensated: it goes the block's other way."""
    case = forgotten_block()
    assert names(case.when(resolve(case, "charge", verdict, reply=b'{"id":"x"}'))) == expected
    assert case.state.phase is Phase.RUNNING


def test_a_block_undoes_in_reverse_and_goes_on() -> None:
    """A block that failed is undone as a whole, then the other way is taken."""
    body = (step("reserve"), step("charge"))
    case = Case(plan(Attempt(path="pay", on=("Declined",), body=body, otherwise=(step("bill"),))))
    case.ok("reserve")
    case.failed("charge")
    assert names(case.ok("reserve")) == ["CompensationSucceeded reserve", "BlockUndone pay", "CommandIssued bill"]


def test_unknown_step_of_a_block_is_undone_before_the_other_way() -> None:
    """What is exhausted inside a block is unknown: it is undone, acknowledged, and only then `otherwise` begins."""
    charge = step("charge", retry=RetryPolicy(attempts=1))
    case = Case(plan(Attempt(path="pay", on=("exhausted",), body=(charge,), otherwise=(step("bill"),))))
    case.tick(31)
    assert case.sent("charge").undoes_outcome == "unknown"
    events = case.ok("charge", effect=ReplyEffect.NONE)
    assert names(events) == ["CompensationSucceeded charge", "BlockUndone pay", "CommandIssued bill"]


def test_cancel_waits_for_the_pivot_even_when_a_person_settles_it() -> None:
    """A cancel that takes effect if the pivot fails also does so when an operator says that it did not happen."""
    case = Case(plan(step("reserve"), step("book", K.PIVOT, effect=Effect.AT_MOST_ONCE)))
    case.ok("reserve")
    case.answer(case.sent("book"), Outcome.REFUSED, code=RefusedCode.IN_DOUBT)
    cancel(case)
    assert case.state.phase is Phase.RUNNING
    events = case.when(resolve(case, "book", Verdict.NOT_APPLIED))
    assert names(events) == ["StepReleased book", "StepFailed book", "CompensationStarted", "CommandIssued reserve"]


def test_an_undo_in_doubt_at_its_service_becomes_a_question_about_the_action() -> None:
    """Where the service cannot tell either, asking again is no way out: a person says what happened."""
    case = parked_in_doubt(undone=True)
    for verdict in (Verdict.RETRY, Verdict.UNDO):
        assert objection(case.plan, case.state, resolve(case, "call", verdict)) is not None
    events = case.when(resolve(case, "call", Verdict.APPLIED, reply=b'{"id":"x"}'))
    assert names(events) == ["StepReleased call", "StepSucceeded call", "CommandRepeated call"]
    again = case.sent("call")
    assert (again.execution, again.attempt, again.undoes_outcome) == (1, 2, "ok")


def test_an_unknown_step_with_an_old_key_is_not_undone_blindly() -> None:
    """B7: a participant that forgot the action would answer `none` while the effect stands; a person looks first."""
    case = Case(plan(step("charge", retry=RetryPolicy(attempts=1)), deadline=timedelta(days=90)))
    case.tick(31)
    case.pass_time(24 * 86_400)
    case.when(i.Cancel(now=case.now, request="c", by="operator", actor=None, reason="r"))
    assert case.state.parked["charge"].code is ParkCode.KEY_FORGOTTEN
    assert outstanding(case.plan, case.state) == []
    refused = objection(case.plan, case.state, resolve(case, "charge", Verdict.UNDO))
    assert "say applied or not-applied" in (refused or "")
    case.when(resolve(case, "charge", Verdict.APPLIED, reply=b'{"id":"x"}'))
    assert case.sent("charge").undoes_outcome == "ok"


def test_an_undo_with_an_old_key_is_not_retried() -> None:
    """A forgotten undo would be carried out twice: retry is refused, not-applied asks under a new key."""
    case = Case(plan(step("charge"), step("book"), deadline=timedelta(days=90)))
    case.ok("charge")
    case.failed("book")
    undo = case.sent("charge")
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    case.pass_time(25 * 86_400)
    case.when(i.Resume(now=case.now, actor="olga", reason="r"))
    assert case.state.parked["charge"].code is ParkCode.KEY_FORGOTTEN
    assert "may be forgotten" in (objection(case.plan, case.state, resolve(case, "charge", Verdict.RETRY)) or "")
    events = case.when(resolve(case, "charge", Verdict.NOT_APPLIED))
    assert names(events) == ["StepReleased charge", "CompensationFailed charge", "CommandIssued charge"]
    assert case.sent("charge").execution == undo.execution + 1


def test_a_failed_undo_is_asked_again_under_a_new_key() -> None:
    """B9: a compensation that was refused parks at once, and its retry is the next execution."""
    case = Case(plan(step("reserve"), step("charge")))
    case.ok("reserve")
    case.failed("charge")
    undo = case.sent("reserve")
    case.failed("reserve", "WindowClosed")
    assert case.state.parked["reserve"].code is ParkCode.COMPENSATION_FAILED
    case.when(resolve(case, "reserve", Verdict.RETRY))
    assert case.sent("reserve").execution == undo.execution + 1


def test_continue_undoes_the_others_and_can_still_build_the_parked_undo() -> None:
    """With `continue`, what an undo reads may be undone before it: its body can be built all the same."""
    reading = Object({"order": INPUT_ID, "from": Ref("reserve", ("id",), ScalarType.STR)})
    charge = step(
        "charge", undo=template("charge-service", "Refund", body=reading), on_undo_failed=OnUndoFailed.CONTINUE
    )
    case = Case(plan(step("reserve"), charge, step("book")))
    case.ok("reserve", b'{"id":"r1"}')
    case.ok("charge")
    case.failed("book")
    case.failed("charge", "WindowClosed")
    case.ok("reserve")
    case.when(resolve(case, "charge", Verdict.RETRY))
    assert case.sent("charge").body == b'{"from":"r1","order":"o1"}'


def test_the_next_undo_waits_for_the_one_under_way() -> None:
    """A step that was passed over and is released does not begin beside another undo."""
    call = step("call", effect=Effect.AT_MOST_ONCE, on_undo_failed=OnUndoFailed.CONTINUE)
    case = Case(plan(step("reserve"), call))
    case.ok("reserve")
    late = case.sent("call")
    cancel(case)
    case.answer(case.sent("call"), Outcome.REFUSED, code=RefusedCode.IN_DOUBT)
    assert case.sent().path == "reserve"  # passed over: `call` waits for a person
    events = case.answer(late, Outcome.OK, effect=ReplyEffect.APPLIED, body=b'{"id":"x"}')
    assert names(events) == ["StepSucceeded call"]
    assert names(case.ok("reserve")) == ["CompensationSucceeded reserve", "CommandRepeated call"]


def test_abandon_lists_what_stands() -> None:
    """Whatever was issued and is neither refused nor undone is listed."""
    case = Case(plan(step("reserve"), step("charge"), step("book")))
    case.ok("reserve")
    case.ok("charge")
    case.when(i.Abandon(now=case.now, actor="olga", reason="enough"))
    assert case.state.phase is Phase.ABANDONED
    assert case.commits[-1][0].unresolved == ("reserve", "charge", "book")  # type: ignore[union-attr]  # SagaAbandoned
    assert waits(case.plan, case.state) == []


def test_pausing_twice_changes_nothing() -> None:
    """A second pause is no event."""
    case = Case(plan(step("reserve")))
    assert names(case.when(i.Pause(now=case.now, actor="olga", reason="r"))) == ["SagaPaused"]
    assert case.when(i.Pause(now=case.now, actor="olga", reason="r")) == ()


def test_a_pause_moves_every_open_deadline_by_its_length() -> None:
    """Attempt, step and saga get the time back that the pause took."""
    case = Case(plan(step("reserve")))
    before, deadline = case.state.steps["reserve"].action, case.state.deadline_at
    case.pass_time(10)
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    assert case.tick(3_600) == ()
    case.when(i.Resume(now=case.now, actor="olga", reason="r"))
    after, hour = case.state.steps["reserve"].action, timedelta(hours=1)
    assert before.wake_at is not None
    assert before.within_at is not None
    assert (after.wake_at, after.within_at) == (before.wake_at + hour, before.within_at + hour)
    assert case.state.deadline_at == deadline + hour
    assert case.sent("reserve").attempt == 1


def test_what_begins_during_a_pause_has_slept_only_since_then() -> None:
    """A retry that an operator orders during a pause is due one timeout after the resume, not a pause later."""
    case = Case(plan(step("reserve", retry=RetryPolicy(attempts=1))))
    case.tick(31)
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    case.pass_time(3_000)
    case.when(resolve(case, "reserve", Verdict.RETRY))
    assert outstanding(case.plan, case.state) == []
    case.pass_time(600)
    case.when(i.Resume(now=case.now, actor="olga", reason="r"))
    assert case.state.steps["reserve"].action.wake_at == case.now + timedelta(seconds=30)
