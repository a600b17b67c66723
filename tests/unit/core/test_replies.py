"""What a participant's answer does: given a saga, when an answer, then events; and what is turned away."""

import msgspec
import pytest

from saga.contract import Effect
from saga.core import inputs as i
from saga.core.definition import Attempt, RetryPolicy, StepKind
from saga.core.events import ContradictoryReply, ParkCode
from saga.core.expression import Object, Ref, ScalarType
from saga.core.messages import Outcome, RefusedCode, ReplyEffect, ReplyMessage
from saga.core.replies import screen
from saga.core.state import Phase
from tests.builders import INPUT_ID, Case, names, plan, reply, step, template

K = StepKind
APPLIED = ReplyEffect.APPLIED
ID = b'{"id":"x"}'


def cancel(case: Case) -> None:
    case.when(i.Cancel(now=case.now, request="c", by="operator", actor=None, reason="r"))


def test_ok_goes_on() -> None:
    """The next step begins in the same commit."""
    case = Case(plan(step("reserve"), step("charge")))
    assert names(case.ok("reserve")) == ["StepSucceeded reserve", "CommandIssued charge"]


def test_the_last_ok_completes() -> None:
    """With its output, made from what was recorded."""
    case = Case(plan(step("reserve")))
    assert names(case.ok("reserve")) == ["StepSucceeded reserve", "SagaCompleted"]
    assert case.state.output == b'{"order":"o1"}'


def test_failed_undoes_what_was_done_in_reverse() -> None:
    """The refused step did not happen; the others are undone, each after the answer before."""
    case = Case(plan(step("a"), step("b"), step("c")))
    case.ok("a")
    case.ok("b")
    assert names(case.failed("c")) == ["StepFailed c", "CompensationStarted c", "CommandIssued b"]
    assert names(case.ok("b")) == ["CompensationSucceeded b", "CommandIssued a"]
    assert names(case.ok("a")) == ["CompensationSucceeded a", "SagaCompensated"]


def test_a_failed_first_step_leaves_nothing_to_undo() -> None:
    """Compensated, vacuously."""
    case = Case(plan(step("a")))
    assert names(case.failed("a")) == ["StepFailed a", "CompensationStarted a", "SagaCompensated"]


def test_ok_counts_from_any_attempt() -> None:
    """A success that comes after its attempt timed out is a success."""
    case = Case(plan(step("a")))
    first = case.sent()
    case.tick(31)
    case.tick(5)
    assert case.sent().attempt == 2
    assert names(case.answer(first, Outcome.OK, effect=APPLIED, body=ID)) == ["StepSucceeded a", "SagaCompleted"]


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.REFUSED])
def test_answers_about_a_delivery_count_from_the_current_attempt_only(outcome: Outcome) -> None:
    """B4: a duplicate of an old answer burns no attempt."""
    case = Case(plan(step("a")))
    first = case.sent()
    case.tick(31)
    case.tick(5)
    assert case.answer(first, outcome, code=RefusedCode.EXPIRED) == ()


def test_expired_settles_nothing() -> None:
    """B2: it speaks about this delivery; the step stays unknown and is undone if the saga stops."""
    case = Case(plan(step("a")))
    assert names(case.answer(case.sent(), Outcome.REFUSED, code=RefusedCode.EXPIRED)) == ["AttemptEnded a"]
    cancel(case)
    assert case.sent().undoes_outcome == "unknown"


@pytest.mark.parametrize(
    ("code", "park"),
    [
        (RefusedCode.KEY_REUSED, ParkCode.KEY_REUSED),
        (RefusedCode.INVALID_PAYLOAD, ParkCode.INVALID_PAYLOAD),
        (RefusedCode.IN_DOUBT, ParkCode.IN_DOUBT),
        (RefusedCode.TOO_LARGE, ParkCode.TOO_LARGE),
        (RefusedCode.CANCELLED, ParkCode.CANCELLED),
    ],
)
def test_refusals_that_need_a_person_park(code: RefusedCode, park: ParkCode) -> None:
    """Asking again would bring the same answer."""
    case = Case(plan(step("a")))
    case.answer(case.sent(), Outcome.REFUSED, code=code)
    assert case.state.parked["a"].code is park


def test_a_parked_step_still_hears_its_answer() -> None:
    """A definite answer ends the waiting for a person."""
    case = Case(plan(step("a", retry=RetryPolicy(attempts=1))))
    first = case.sent()
    case.tick(31)
    assert case.state.parked
    assert names(case.answer(first, Outcome.OK, effect=APPLIED, body=ID)) == ["StepSucceeded a", "SagaCompleted"]
    assert not case.state.parked


def test_a_late_ok_while_its_undo_is_under_way_is_inert() -> None:
    """I12: the undo covers it; the fact is recorded once."""
    case = Case(plan(step("a")))
    action = case.sent()
    cancel(case)
    assert names(case.answer(action, Outcome.OK, effect=APPLIED, body=ID)) == ["LateReply a"]
    assert case.answer(action, Outcome.OK, effect=APPLIED, body=ID) == ()
    assert names(case.ok("a")) == ["CompensationSucceeded a", "SagaCompensated"]


def test_an_effect_after_an_empty_undo_is_a_contradiction() -> None:
    """The participant promised that it would never happen; recorded, and nothing is sent."""
    case = Case(plan(step("a")))
    action = case.sent()
    cancel(case)
    case.answer(case.sent("a"), Outcome.OK, effect=ReplyEffect.NONE)
    (event,) = case.answer(action, Outcome.OK, effect=APPLIED, body=ID)
    assert isinstance(event, ContradictoryReply)
    assert case.state.phase is Phase.COMPENSATED


def test_failed_after_ok_is_a_contradiction() -> None:
    """What answered ok first, stands."""
    case = Case(plan(step("a"), step("b")))
    action = case.sent()
    case.ok("a")
    assert names(case.answer(action, Outcome.FAILED, code="Declined")) == ["ContradictoryReply a"]
    assert case.state.phase is Phase.RUNNING


def test_the_undo_of_an_ok_that_finds_nothing_is_not_believed() -> None:
    """B7: money may be kept; a person looks."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a")
    case.failed("b")
    case.answer(case.sent("a"), Outcome.OK, effect=ReplyEffect.NONE)
    assert case.state.parked["a"].code is ParkCode.EFFECT_MISSING


def test_a_declared_failure_after_the_pivot_parks() -> None:
    """Nothing before the pivot is undone any more."""
    case = Case(plan(step("a"), step("book", K.PIVOT), step("mail", K.RETRYABLE)))
    case.ok("a")
    case.ok("book")
    assert names(case.failed("mail")) == ["StepFailed mail", "StepParked mail"]
    assert case.state.parked["mail"].code is ParkCode.FAILED_AFTER_PIVOT


READING = {"input.id": "str", "a.id": "str"}


def test_a_reply_that_lacks_what_is_read_parks() -> None:
    """The contract is checked by its use, when the reply arrives."""
    later = step("b", command=template("b", "B", body=Object({"from": Ref("a", ("id",), ScalarType.STR)})))
    case = Case(plan(step("a"), later, reads=READING))
    assert names(case.ok("a", b'{"wrong":1}')) == ["StepSucceeded a", "StepParked a"]
    assert case.state.parked["a"].code is ParkCode.READS_MISMATCH


def test_nobody_reads_the_reply_of_what_is_given_up() -> None:
    """While compensating, a late reply that lacks a field only has to be undone: it parks nothing."""
    undo = template("a-service", "UndoA", body=Object({"order": INPUT_ID}))
    case = Case(plan(step("z"), step("a", undo=undo), reads=READING))
    case.ok("z")
    late = case.sent("a")
    cancel(case)
    case.answer(case.sent("a"), Outcome.FAILED, code="WindowClosed")
    events = case.answer(late, Outcome.OK, effect=APPLIED, body=b'{"wrong":1}')
    assert names(events) == ["StepSucceeded a"]
    assert case.state.parked["a"].code is ParkCode.COMPENSATION_FAILED


def test_an_attempt_block_ignores_reasons_it_does_not_name() -> None:
    """A failure that is not in `on` passes the block and compensates the saga."""
    case = Case(plan(Attempt(path="pay", on=("Limit",), body=(step("a"),), otherwise=(step("b"),))))
    assert names(case.failed("a")) == ["StepFailed a", "CompensationStarted a", "SagaCompensated"]


def test_an_at_most_once_step_that_broke_off_is_in_doubt() -> None:
    """`retry` claims nothing about the effect, and what can be done once only is not tried again on that."""
    case = Case(plan(step("a", effect=Effect.AT_MOST_ONCE)))
    case.answer(case.sent(), Outcome.RETRY, code="unavailable")
    assert case.state.parked["a"].code is ParkCode.IN_DOUBT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sender": "mallory"}, "forged-sender"),
        ({"sender": None}, "forged-sender"),
        ({"service": "mallory", "sender": "mallory"}, "forged-sender"),
        ({"execution": 2}, "unknown-execution"),
        ({"attempt": 2}, "unknown-execution"),
        ({"attempt": 0}, "unknown-execution"),
        ({"key": "0" * 32}, "unknown-execution"),
        ({"in_reply_to": "0" * 32}, "unknown-execution"),
        ({"path": "nowhere"}, "unknown-execution"),
        ({"kind": "compensation"}, "unknown-execution"),
    ],
)
def test_what_is_no_answer_to_anything_asked_is_turned_away(changes: dict[str, object], code: str) -> None:
    """S13: sender, key, execution and attempt must be those of a command of this saga."""
    case = Case(plan(step("a")))
    true: ReplyMessage = reply(case.sent(), Outcome.OK, body=ID)
    assert screen(case.plan, case.state, true) is None
    rejected = screen(case.plan, case.state, msgspec.structs.replace(true, **changes))
    assert rejected is not None
    assert rejected.code == code
