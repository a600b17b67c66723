"""The spans of a history: their tree, their ids, their ranges, and what never stands in one."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from saga.core import events as e
from saga.core import inputs as i
from saga.core.definition import Attempt, Each, OnExhausted, RetryPolicy, StepKind
from saga.core.expression import Literal
from saga.core.identity import trace_id
from saga.core.messages import Kind, Outcome, ReplyEffect
from saga.core.spans import Span
from saga.core.spans.ledger import Trace
from saga.core.spans.tracing import rebuild, trace_commit
from tests.builders import NOW, SAGA, Case, plan, raw, reply, step, template
from tests.spans import attribute, nested, tree

TWO = plan(step("reserve"), step("charge"))
CALLER = f"00-{'c' * 32}-{'d' * 16}-01"
SECRET = "hunter2-4111-1111"


def whole(case: Case, **options: bool) -> tuple[Span, ...]:
    """The spans of its history; they are the same when made commit by commit."""
    spans = rebuild(case.plan, case.commits, **options)
    nested(tree(spans))
    return spans


def lines(case: Case) -> list[str]:
    """Its tree as text."""
    return tree(whole(case)).lines()


def only(case: Case, name: str) -> Span:
    """The one span of that name."""
    (found,) = tree(whole(case)).find(name)
    return found.span


def completed() -> Case:
    """Two steps, both ok."""
    case = Case(TWO, traceparent=CALLER)
    for _ in range(2):
        case.pass_time(3)
        case.ok(handler_time=timedelta(seconds=1))
    return case


def test_a_step_of_an_item_is_sent_to_its_service() -> None:
    """Spans of items are named by their place in the run, and say where their commands went."""
    add = step("seats/add", command=template("crm", "Add"))
    seats = Each(path="seats", items=Literal(raw('["a"]')), limit=3, window=1, body=(add,))
    case = Case(plan(seats))
    case.ok()
    told = lines(case)
    assert "  seats[0]/add" in told
    assert "    send saga.commands:crm.Add.v1" in told


def test_a_completed_saga() -> None:
    """The anchor is the root; the saga and its steps stand under it, attempts under steps, waits under attempts."""
    assert lines(completed()) == [
        "order started",
        "  order",
        "  reserve",
        "    send saga.commands:reserve-service.Reserve.v1",
        "      queue wait",
        "      handler",
        "  charge",
        "    send saga.commands:charge-service.Charge.v1",
        "      queue wait",
        "      handler",
    ]


def test_ids_are_those_of_the_wire() -> None:
    """The trace is the root saga, and the attempt's span is the one its command named as parent."""
    case = Case(TWO)
    message = case.sent()
    case.ok()
    spans = {span.id: span for span in whole(case)}
    assert message.traceparent is not None
    _, trace, parent, flags = message.traceparent.split("-")
    assert (trace, flags) == (trace_id(SAGA), "01")
    assert spans[parent].name == "send saga.commands:reserve-service.Reserve.v1"
    assert attribute(spans[parent], "messaging.message.id") == message.message_id
    assert {span.trace for span in spans.values()} == {trace}


def test_a_repeated_attempt_is_named_by_its_own_command() -> None:
    """Every sending has a span of its own."""
    case = Case(TWO)
    case.answer(case.sent(), Outcome.RETRY, code="unavailable")
    case.tick(10)
    message = case.sent()
    case.ok()
    assert message.attempt == 2
    assert message.traceparent is not None
    (second,) = (span for span in whole(case) if span.id == message.traceparent.split("-")[2])
    assert attribute(second, "saga.step.attempt") == 2


def test_the_anchor_is_there_at_once() -> None:
    """It is complete with the first commit and links to the caller's trace, which is not adopted."""
    case = Case(TWO, traceparent=CALLER)
    (anchor,) = rebuild(case.plan, case.commits)
    assert (anchor.name, anchor.parent, anchor.start_ns) == ("order started", "", anchor.end_ns)
    (link,) = anchor.links
    assert (link.trace, link.span, link.kind) == ("c" * 32, "d" * 16, "started_by")
    assert anchor.trace == trace_id(SAGA)


def test_queue_wait_and_handler_share_the_attempt() -> None:
    """The handler is as long as the participant said and ends with the answer; what is before it is waiting."""
    spans = tree(whole(completed()))
    attempt = spans.find("send saga.commands:reserve-service.Reserve.v1")[0]
    wait, handler = attempt.children
    assert wait.span.start_ns == attempt.span.start_ns
    assert wait.span.end_ns == handler.span.start_ns
    assert handler.span.end_ns == attempt.span.end_ns
    assert handler.span.end_ns - handler.span.start_ns == 1_000_000_000


def test_a_handler_that_claims_too_much_stays_in_its_attempt() -> None:
    """A foreign clock cannot push a span out of its parent."""
    case = Case(TWO)
    case.pass_time(1)
    case.ok(handler_time=timedelta(hours=5))
    handler, sent = only(case, "handler"), only(case, "send saga.commands:reserve-service.Reserve.v1")
    assert handler.start_ns == sent.start_ns


def test_a_retried_step() -> None:
    """Each attempt says why it brought nothing, and the wait before the next is labelled."""
    case = Case(TWO)
    case.answer(case.sent(), Outcome.RETRY, code="unavailable")
    case.tick(10)
    case.tick(40)
    case.tick(40)
    case.ok()
    (reserve,) = tree(whole(case)).find("reserve")
    assert reserve.lines() == [
        "reserve",
        "  send saga.commands:reserve-service.Reserve.v1 !unavailable",
        "  backoff",
        "  send saga.commands:reserve-service.Reserve.v1 !timeout",
        "  backoff",
        "  send saga.commands:reserve-service.Reserve.v1",
    ]


def test_an_answer_to_an_earlier_attempt() -> None:
    """Timed out and happened after all: the attempt that answered is linked, and nothing leaves its parent's range."""
    case = Case(TWO)
    first = case.sent()
    case.tick(40)
    case.tick(40)
    case.pass_time(2)
    case.answer(first, Outcome.OK, effect=ReplyEffect.APPLIED, body=b'{"id":"x"}', handler_time=timedelta(seconds=1))
    (reserve,) = tree(whole(case)).find("reserve")
    assert reserve.lines() == [
        "reserve",
        "  send saga.commands:reserve-service.Reserve.v1 !timeout",
        "  backoff",
        "  send saga.commands:reserve-service.Reserve.v1",
        "  handler",
    ]
    attempts = [child.span for child in reserve.children if child.span.name.startswith("send")]
    assert attribute(attempts[1], "saga.outcome") == "superseded"
    (link,) = reserve.children[-1].span.links
    assert (link.span, link.kind) == (attempts[0].id, "answered")


def test_a_compensated_saga() -> None:
    """Each compensation is linked to the execution it undoes; the last done is undone first."""
    case = Case(plan(step("reserve"), step("charge"), step("ship")))
    for path in ("reserve", "charge"):
        case.pass_time(1)
        case.ok(path)
    case.pass_time(1)
    case.failed(code="NoTruck")
    for path in ("charge", "reserve"):
        case.pass_time(1)
        case.ok(path)
    found = tree(whole(case))
    assert [line for line in found.lines() if line.startswith("  ") and not line.startswith("   ")] == [
        "  order !NoTruck",
        "  reserve",
        "  charge",
        "  ship !NoTruck",
        "  compensation started",
        "  undo charge",
        "  undo reserve",
    ]
    for path in ("charge", "reserve"):
        (undo,), (done,) = found.find(f"undo {path}"), found.find(path)
        assert [(link.span, link.kind) for link in undo.span.links] == [(done.span.id, "compensates")]
        assert attribute(undo.span, "saga.step.kind") == "compensation"
    assert attribute(found.find("order")[0].span, "saga.status") == "compensated"


def test_timed_out_and_undone() -> None:
    """An execution nobody answered ends as unknown where its compensation begins; its late answer is a fact beside."""
    once = RetryPolicy(attempts=1)
    case = Case(plan(step("reserve", retry=once, on_exhausted=OnExhausted.COMPENSATE), step("charge")))
    sent = case.sent()
    case.tick(40)
    case.pass_time(1)
    case.ok("reserve")
    case.pass_time(1)
    case.answer(sent, Outcome.OK, effect=ReplyEffect.APPLIED)
    found = tree(whole(case))
    assert [line for line in found.lines() if not line.startswith("   ")] == [
        "order started",
        "  order !exhausted",
        "  reserve !exhausted",
        "  compensation started",
        "  undo reserve",
        "  late answer",
    ]
    (undo,), (done,) = found.find("undo reserve"), found.find("reserve")
    assert attribute(done.span, "saga.outcome") == "unknown"
    assert attribute(undo.span, "saga.compensates.outcome") == "unknown"


def test_an_operator_repairs() -> None:
    """The time in front of a person is a span, who ended it and how is another, linked to what it is about."""
    case = Case(plan(step("charge", StepKind.PIVOT, retry=RetryPolicy(attempts=1))))
    case.tick(40)
    case.pass_time(3600)
    resolved = i.Resolve(now=case.now, path="charge", verdict=i.Verdict.RETRY, actor="ann", reason=SECRET)
    case.when(resolved)
    case.pass_time(1)
    case.ok()
    found = tree(whole(case))
    assert found.lines() == [
        "order started",
        "  charge",
        "    send saga.commands:charge-service.Charge.v1 !exhausted",
        "    parked !exhausted",
        "    send saga.commands:charge-service.Charge.v1",
        "  order",
        "  operator retry charge",
    ]
    (operator,), (charge,) = found.find("operator retry charge"), found.find("charge")
    assert attribute(operator.span, "saga.actor") == "ann"
    assert [(link.span, link.kind) for link in operator.span.links] == [(charge.span.id, "about")]
    (parked,) = found.find("parked")
    assert parked.span.end_ns - parked.span.start_ns == 3_600_000_000_000


def test_a_settled_step_that_parks_stands_beside_it() -> None:
    """A step that failed after the pivot is over; the wait for a person is not part of it, and points to it."""
    case = Case(plan(step("charge", StepKind.PIVOT), step("mail", StepKind.RETRYABLE)))
    case.ok()
    case.failed()
    case.when(i.Abandon(now=case.now, actor="ann", reason="done by phone"))
    found = tree(whole(case))
    (parked,), (mail,) = found.find("parked"), found.find("mail")
    assert parked.span.parent == found.span.id
    assert [link.span for link in parked.span.links] == [mail.span.id]
    assert attribute(found.find("order")[0].span, "saga.status") == "abandoned"
    assert len(found.find("operator abandon")) == 1


def test_pauses_cancels_and_late_dispatch() -> None:
    """Every gap of a long saga is labelled."""
    case = Case(TWO)
    sent = case.sent()
    about: dict[str, Any] = {"path": sent.path, "kind": sent.kind, "execution": 1, "attempt": 1}
    case.when(i.Undelivered(now=case.now, detail="312 NO_ROUTE " + SECRET, **about))
    case.pass_time(5)
    case.when(i.Delivered(now=case.now, **about))
    case.when(i.Pause(now=case.now, actor="ann", reason=SECRET))
    case.pass_time(60)
    case.when(i.Resume(now=case.now, actor="ann", reason=SECRET))
    case.when(i.Cancel(now=case.now, request="r", by="shop", actor=None, reason=SECRET))
    case.ok("reserve")
    names = [span.name for span in whole(case)]
    for name in ("undelivered", "paused", "operator pause", "operator resume", "cancel requested", "undo reserve"):
        assert name in names
    assert only(case, "reserve").end_ns >= only(case, "cancel requested").start_ns
    assert attribute(only(case, "order"), "saga.because") == "cancelled"


def test_an_attempt_block_takes_the_other_way() -> None:
    """What failed inside and what was done instead stand in one tree."""
    block = Attempt(path="attempt", on=("Declined",), body=(step("card"),), otherwise=(step("invoice"),))
    case = Case(plan(block))
    case.failed("card")
    case.ok("invoice")
    found = tree(whole(case))
    (turn,), (card,) = found.find("attempt takes the other way"), found.find("card")
    assert [link.span for link in turn.span.links] == [card.span.id]


def test_commit_by_commit_is_the_whole() -> None:
    """What a follower exports as it goes is, span by span, what a rebuild gives years later."""
    case = completed()
    trace: Trace | None = None
    spans: list[Span] = []
    for events in case.commits:
        before = trace
        trace, closed = trace_commit(case.plan, before, events)
        assert trace_commit(case.plan, before, events) == (trace, closed)  # a second look at it is the same
        spans += closed
    assert tuple(spans) == rebuild(case.plan, case.commits)


def test_an_unsampled_saga_says_so() -> None:
    """Its commands carry the flag, its spans that they were rebuilt, and a failure that it is to be shown anyway."""
    case = Case(TWO, untraced=True)
    assert (case.sent().traceparent or "").endswith("-00")
    trace, (anchor,) = trace_commit(case.plan, None, case.commits[0])
    assert trace.untraced
    assert not trace.failed
    assert attribute(anchor, "saga.rebuilt") is True
    case.failed()
    trace, _ = trace_commit(case.plan, trace, case.commits[1])
    assert trace.failed


def test_time_never_goes_back() -> None:
    """Two processes whose clocks differ a little cannot turn a range around."""
    case = Case(TWO)
    case.pass_time(-5)
    case.ok(handler_time=timedelta(seconds=1))
    case.ok()
    for span in whole(case):
        assert span.end_ns >= span.start_ns


def test_secrets_stay_out() -> None:
    """Payloads, error texts, reasons, keys and tags are in no span; codes that are no words neither."""
    case = Case(TWO, input=b'{"id":"%s"}' % SECRET.encode(), start_key=f"k:{SECRET}", actor=None)
    case.answer(case.sent(), Outcome.RETRY, code=f"no luck {SECRET}", message=SECRET)
    case.tick(10)
    case.ok(body=b'{"id":"%s"}' % SECRET.encode())
    case.answer(case.sent(), Outcome.FAILED, code="Declined", message=SECRET, body=b'"%s"' % SECRET.encode())
    case.answer(case.sent(), Outcome.REFUSED, code="in-doubt", message=SECRET)
    case.when(i.Abandon(now=case.now, actor="ann", reason=SECRET))
    encoded = msgspec.json.encode(whole(case))
    assert SECRET.encode() not in encoded
    assert b'"saga.outcome","other"' in encoded
    assert SECRET.encode() in msgspec.json.encode(whole(case, texts=True))


def test_an_unknown_event_makes_no_span() -> None:
    """A newer construct leaves the rest of the trace as it is."""
    case = Case(TWO)
    chosen = e.ArmChosen(at=NOW, path="when", taken=True)
    trace, spans = trace_commit(case.plan, None, (*case.commits[0], chosen))
    assert [span.name for span in spans] == ["order started"]
    assert ("step", "reserve", Kind.ACTION) in trace.open


def test_a_history_without_its_beginning_has_no_trace() -> None:
    """There is no root to hang anything on."""
    with pytest.raises(ValueError, match="SagaStarted"):
        trace_commit(TWO, None, ())


def test_refusals_end_an_attempt_not_the_step() -> None:
    """`refused` and `retry` settle nothing."""
    case = Case(TWO)
    case.answer(case.sent(), Outcome.REFUSED, code="expired")
    case.tick(10)
    case.answer(case.sent(), Outcome.RETRY, code="busy")
    case.tick(20)
    case.ok()
    (reserve,) = tree(whole(case)).find("reserve")
    errors = [child.span.error for child in reserve.children if child.span.name.startswith("send")]
    assert errors == ["expired", "busy", ""]


def test_an_answer_with_another_attempt_in_a_park() -> None:
    """An answer that comes while a person is asked ends the wait and the step."""
    case = Case(plan(step("charge", StepKind.PIVOT, retry=RetryPolicy(attempts=1))))
    sent = case.sent()
    case.tick(40)
    case.pass_time(60)
    case.when(i.Reply(now=case.now, message=reply(sent, Outcome.OK, effect=ReplyEffect.APPLIED, body=b'{"id":"x"}')))
    found = tree(whole(case))
    (parked,), (charge,) = found.find("parked"), found.find("charge")
    assert parked.span.parent == charge.span.id
    assert attribute(charge.span, "saga.outcome") == "ok"
