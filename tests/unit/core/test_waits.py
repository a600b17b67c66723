"""Sleeping, deadlines of scopes, and signals."""

from datetime import timedelta
from typing import Any

import pytest

from saga.core import inputs as i
from saga.core.blocks import DEADLINE, Attempt, Await, Block, Each, OnLate, Sleep, StepKind, Within
from saga.core.bounds import SIGNALS_WAITING_BYTES_MAX, SIGNALS_WAITING_MAX
from saga.core.expression import Coalesce, Compare, Literal, Object, Ref, ScalarType
from saga.core.outstanding import next_wake, waits
from saga.core.state import Phase
from saga.core.waits import objection
from tests.builders import NOW, Case, after, names, plan, raw, step, template

HOUR = Sleep(path="nap", time=Literal(raw('"PT1H"')))


def paid(**changes: Any) -> Await:
    """A wait for the signal `paid`."""
    fields: dict[str, Any] = {"path": "payment", "signal": "paid"}
    return Await(**{**fields, **changes})


def tell(case: Case, message_id: str = "s1", body: bytes = b'{"ref":"r1"}', signal: str = "paid") -> list[str]:
    """Somebody sends a signal."""
    return names(case.when(given(case, message_id, body, signal)))


def given(case: Case, message_id: str = "s1", body: bytes = b'{"ref":"r1"}', signal: str = "paid") -> i.SignalGiven:
    return i.SignalGiven(now=case.now, signal=signal, message_id=message_id, body=body, by="shop")


def kinds(case: Case) -> list[str]:
    return [wait.kind for wait in waits(case.plan, case.state)]


def test_a_sleep_ends_when_its_time_is_up_and_not_before() -> None:
    """One alarm, and nothing on the wire meanwhile."""
    case = Case(plan(HOUR, step("after")))
    assert kinds(case) == ["timer"]
    assert next_wake(case.plan, case.state, case.now, 1) == after(3_600)
    assert case.tick(3_599) == ()
    assert names(case.tick(1)) == ["WaitEnded nap", "CommandIssued after"]


def test_a_sleep_until_an_instant_of_the_input() -> None:
    """Until a time the caller named; one that has passed is no wait."""
    block = Sleep(path="nap", until=Ref("input", ("at",), ScalarType.INSTANT))
    case = Case(plan(block), input=b'{"id":"o1","at":"2026-01-01T00:10:00Z"}')
    assert names(case.tick(600))[0] == "WaitEnded nap"
    assert Case(plan(block), input=b'{"id":"o1","at":"2025-01-01T00:00:00Z"}').state.phase is Phase.COMPLETED


def test_a_sleep_of_less_than_nothing_is_no_wait() -> None:
    """However far back that would be."""
    block = Sleep(path="nap", time=Ref("input", ("time",), ScalarType.DURATION))
    assert Case(plan(block), input=b'{"id":"o1","time":"-P999999D"}').state.phase is Phase.COMPLETED


@pytest.mark.parametrize("at", [b'"soon"', b'"9999-01-01T00:00:00Z"'])
def test_a_time_that_is_none_parks(at: bytes) -> None:
    """No instant, or one nobody will see: a person looks."""
    case = Case(plan(Sleep(path="nap", until=Ref("input", ("at",), ScalarType.INSTANT))), input=b'{"at":%s}' % at)
    assert "nap" in case.state.parked


def test_a_pause_stops_the_clock_of_every_wait() -> None:
    """Sleep, scope and signal get back the time that the pause took."""
    scope = Within(path="scope", time=timedelta(hours=2), body=(paid(within=timedelta(hours=1)),))
    case = Case(plan(scope))
    case.pass_time(600)
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    assert case.tick(86_400) == ()
    case.when(i.Resume(now=case.now, actor="olga", reason="r"))
    assert case.tick(2_999) == ()
    assert names(case.tick(1))[0] == "WaitEnded payment"


def test_a_scope_that_has_had_its_time_fails_and_is_undone() -> None:
    """What is in flight in it is unknown; an attempt around it takes the other way."""
    scope = Within(path="scope", time=timedelta(minutes=1), body=(step("a"), step("b")))
    case = Case(plan(Attempt(path="try", on=(DEADLINE,), body=(scope,), otherwise=(step("z"),))))
    case.ok("a")
    assert names(case.tick(60))[-3:-1] == ["WaitEnded scope", "BlockFailed try"]
    case.ok("b")
    case.ok("a")
    assert case.sent().path == "z"


def test_a_scope_that_is_through_stops_its_clock() -> None:
    """Its deadline concerns nobody any more."""
    case = Case(plan(Within(path="scope", time=timedelta(minutes=1), body=(step("a"),)), step("b")))
    assert names(case.ok("a")) == ["StepSucceeded a", "WaitEnded scope", "CommandIssued b"]
    assert "WaitEnded scope" not in names(case.tick(3_600))


def test_a_signal_is_consumed_by_the_wait_and_read_by_what_follows() -> None:
    """Its body is a source like a reply."""
    use = step("use", command=template("books", "Use", body=Ref("payment", ("ref",), ScalarType.STR)))
    case = Case(plan(paid(), use))
    assert kinds(case) == ["signal"]
    assert tell(case) == ["SignalReceived", "SignalConsumed payment", "CommandIssued use"]
    assert case.sent().body == b'"r1"'


def test_a_signal_before_its_wait_is_kept_and_counts_once() -> None:
    """It waits for the wait; the same message again changes nothing."""
    case = Case(plan(step("a"), paid(), step("b")))
    assert tell(case) == ["SignalReceived"]
    assert tell(case) == []
    assert names(case.ok("a")) == ["StepSucceeded a", "SignalConsumed payment", "CommandIssued b"]
    assert tell(case) == []


def test_a_signal_said_again_after_the_saga_has_ended_was_taken() -> None:
    """Whoever did not hear the answer asks again; only a new signal comes too late."""
    case = Case(plan(paid()))
    tell(case)
    assert case.state.phase is Phase.COMPLETED
    assert objection(case.plan, case.state, given(case)) is None
    assert tell(case) == []
    refusal = objection(case.plan, case.state, given(case, "s2"))
    assert refusal is not None
    assert refusal.code == "ended"


def test_a_wait_takes_only_what_fits() -> None:
    """Two items wait for one signal each: the field says whose it is; a signal without it is for nobody."""
    mine = Compare(
        "eq", ScalarType.STR, Ref("signal", ("ref",), ScalarType.STR), Ref("lines", ("ref",), ScalarType.STR)
    )
    lines = Each(
        path="lines",
        items=Ref("input", ("lines",), ScalarType.LIST),
        limit=2,
        window=2,
        body=(paid(path="lines/payment", where=mine),),
    )
    case = Case(plan(lines), input=b'{"id":"o1","lines":[{"ref":"r1"},{"ref":"r2"}]}')
    assert tell(case, "s0", b"{}") == ["SignalReceived"]
    assert tell(case, "s1", b'{"ref":"r2"}') == ["SignalReceived", "SignalConsumed lines[1]/payment"]
    assert tell(case, "s2", b'{"ref":"r1"}')[1] == "SignalConsumed lines[0]/payment"
    assert case.state.phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("on_late", "phase"),
    [(OnLate.FAIL, Phase.COMPENSATING), (OnLate.PARK, Phase.RUNNING), (OnLate.CONTINUE, Phase.COMPLETED)],
)
def test_a_signal_that_does_not_come_in_time(on_late: OnLate, phase: Phase) -> None:
    """The policy decides: fail, wait for a person, or go on without it."""
    case = Case(plan(step("a"), paid(within=timedelta(minutes=5), on_late=on_late)))
    case.ok("a")
    case.tick(300)
    assert case.state.phase is phase
    assert ("payment" in case.state.parked) == (on_late is OnLate.PARK)


def test_going_on_without_a_signal_reads_a_default() -> None:
    """Its source is absent."""
    ref = Coalesce((Ref("payment", ("ref",), ScalarType.STR), Literal(raw('"none"'))))
    output = Object({"ref": ref})
    case = Case(plan(paid(within=timedelta(minutes=5), on_late=OnLate.CONTINUE), output=output))
    case.tick(300)
    assert case.state.output == b'{"ref":"none"}'


def test_an_operator_lets_a_late_wait_begin_anew() -> None:
    """Released, it waits as long again."""
    case = Case(plan(step("go", StepKind.PIVOT), paid(within=timedelta(minutes=5))))
    case.ok("go")
    case.tick(300)
    assert case.state.parked["payment"].code == "late"
    retry = i.Resolve(now=case.now, path="payment", verdict=i.Verdict.RETRY, actor="olga", reason="they will pay")
    assert names(case.when(retry)) == ["StepReleased payment", "WaitStarted payment"]
    assert tell(case)[1] == "SignalConsumed payment"


def test_what_cannot_be_kept_is_refused_with_a_reason() -> None:
    """Unknown names, too many, too large, ended: the sender is told, and nothing is recorded."""
    case = Case(plan(step("a"), paid(), reads={"payment.ref": "str"}))

    def code(signal: i.SignalGiven) -> str:
        refusal = objection(case.plan, case.state, signal)
        return "" if refusal is None else refusal.code

    assert code(given(case, signal="payed")) == "unknown-signal"
    assert code(given(case, body=b"{}")) == "reads-mismatch"
    large = b'{"ref":"%s"}' % (b"x" * SIGNALS_WAITING_BYTES_MAX)
    assert code(given(case, body=large)) == "signal-limit"
    assert code(given(case, body=large[12:])) == "reads-mismatch"
    for number in range(SIGNALS_WAITING_MAX):
        assert tell(case, f"m{number}") == ["SignalReceived"]
    assert code(given(case, "one more")) == "signal-limit"
    assert tell(case, "one more") == []
    assert code(given(case, "m1")) == ""
    case.when(i.Abandon(now=case.now, actor="olga", reason="r"))
    assert code(given(case, "later")) == "ended"


def test_a_wait_in_a_block_that_gave_up_is_over() -> None:
    """No alarm, no reason to wait: only the undo counts."""
    body: tuple[Block, ...] = (step("a"), step("b"))
    scope = Within(path="scope", time=timedelta(hours=1), body=body)
    case = Case(plan(Attempt(path="try", on=("Declined",), body=(scope,), otherwise=(step("z"),))))
    case.ok("a")
    case.failed("b")
    case.ok("a")
    assert case.sent().path == "z"
    assert "WaitEnded scope" not in names(case.tick(7_200))
    assert case.now > NOW
