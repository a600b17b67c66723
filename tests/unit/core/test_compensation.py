"""What is undone, in which order, and by which command."""

from saga.core import inputs as i
from saga.core.definition import OnExhausted, OnUndoFailed, RetryPolicy, StepKind
from saga.core.events import ParkCode
from saga.core.expression import Literal, Object, Ref, ScalarType
from saga.core.messages import ReplyEffect
from saga.core.outstanding import outstanding
from tests.builders import Case, names, plan, raw, step, template

K = StepKind


def cancel(case: Case) -> None:
    case.when(i.Cancel(now=case.now, request="c", by="operator", actor=None, reason="r"))


def test_unfinished_steps_are_undone_first() -> None:
    """I4: nobody waits for what is in flight; it is unknown, and its undo is its cancel."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a")
    cancel(case)
    assert (case.sent().path, case.sent().undoes_outcome) == ("b", "unknown")
    case.ok("b", effect=ReplyEffect.NONE)
    assert (case.sent().path, case.sent().undoes_outcome) == ("a", "ok")


def test_reads_and_what_needs_no_undo_are_passed_over() -> None:
    """Only a compensatable step with an undo is undone."""
    kept = step("kept", undo=None, no_undo="reports are kept")
    case = Case(plan(step("a"), step("look", K.READ), kept, step("d")))
    for path in ("a", "look", "kept"):
        case.ok(path)
    case.failed("d")
    assert names(case.ok("a")) == ["CompensationSucceeded a", "SagaCompensated"]


def test_an_undo_names_the_key_it_undoes() -> None:
    """`saga-undoes` is the action's key; its own key is another, and it carries no expiry."""
    case = Case(plan(step("a"), step("b")))
    action = case.sent("a")
    case.ok("a")
    case.failed("b")
    undo = case.sent("a")
    assert undo.undoes == action.key
    assert undo.key != action.key
    assert undo.expires_at is None


def test_an_unknown_outcome_has_an_undo_of_its_own() -> None:
    """`unknown=` is sent where the reply that `undo=` reads never came."""
    known = template("a-service", "Refund", body=Object({"id": Ref("a", ("id",), ScalarType.STR)}))
    unknown = template("a-service", "Refund", body=Object({"id": Literal(raw("null"))}))
    definition = plan(step("a", undo=known, undo_unknown=unknown), step("b"), reads={"input.id": "str", "a.id": "str"})
    case = Case(definition)
    cancel(case)
    assert case.sent().body == b'{"id":null}'
    case = Case(definition)
    case.ok("a", b'{"id":"r7"}')
    case.failed("b")
    assert case.sent().body == b'{"id":"r7"}'


def test_the_bytes_of_an_undo_are_fixed_when_it_is_issued() -> None:
    """Its repeats carry the same body under the same key."""
    case = Case(plan(step("a"), step("b")))
    case.ok("a")
    case.failed("b")
    first = case.sent()
    case.tick(31)
    case.tick(5)
    again = case.sent()
    assert (again.attempt, again.key, again.body) == (2, first.key, first.body)


def test_an_exhausted_undo_parks_and_holds_the_others() -> None:
    """Never given up, never passed over silently."""
    once = RetryPolicy(attempts=1)
    case = Case(plan(step("a"), step("b", undo_retry=once), step("c")))
    case.ok("a")
    case.ok("b")
    case.failed("c")
    case.tick(31)
    assert case.state.parked["b"].code is ParkCode.EXHAUSTED
    assert outstanding(case.plan, case.state) == []


def test_continue_goes_on_beside_a_parked_undo_and_does_not_end() -> None:
    """With `continue` the others are undone; the saga ends only when the parked one is."""
    once = RetryPolicy(attempts=1)
    case = Case(plan(step("a"), step("b", undo_retry=once, on_undo_failed=OnUndoFailed.CONTINUE), step("c")))
    case.ok("a")
    case.ok("b")
    case.failed("c")
    undo = case.sent("b")
    case.tick(31)
    assert names(case.ok("a")) == ["CompensationSucceeded a"]
    assert not case.state.terminal
    applied = i.Resolve(
        now=case.now, path="b", verdict=i.Verdict.APPLIED, actor="olga", reason="by hand", evidence=undo.key
    )
    assert names(case.when(applied)) == ["StepReleased b", "CompensationSucceeded b", "SagaCompensated"]


def test_an_undo_that_cannot_be_built_parks() -> None:
    """With the path that is missing, for whoever repairs it."""
    reading = template("a-service", "UndoA", body=Object({"id": Ref("a", ("id",), ScalarType.STR)}))
    exhausted = step("a", undo=reading, retry=RetryPolicy(attempts=1), on_exhausted=OnExhausted.COMPENSATE)
    case = Case(plan(exhausted))
    case.tick(31)
    assert case.state.parked["a"].code is ParkCode.EVALUATION
    assert "a.id" in case.state.parked["a"].text
