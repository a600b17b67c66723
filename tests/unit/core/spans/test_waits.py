"""Spans of approvals, waits, signals, branches and children."""

from datetime import timedelta

import msgspec

from saga.core import events as e
from saga.core import inputs as i
from saga.core.approvals import digest_of
from saga.core.blocks import Approval, Await, Branch, Join, Parallel, Sleep, Step, StepKind
from saga.core.definition import RetryPolicy
from saga.core.expression import Literal, Object, Ref, ScalarType, Text
from saga.core.identity import trace_id, traceparent
from saga.core.messages import Choice, Outcome
from saga.core.spans import Span
from saga.core.spans.tracing import rebuild, trace_commit
from tests.builders import INPUT_ID, NOW, SAGA, Case, after, plan, raw, step, template
from tests.spans import attribute, nested, tree

SECRET = "hunter2-4111-1111"
THREE_DAYS = timedelta(days=3)
REVIEW = Approval(
    path="review",
    subject=Object({"to": INPUT_ID}),
    subject_type="mail.Send.v1",
    guards="send",
    roles=("editor",),
    summary=Text("Letter to {}", (INPUT_ID,)),
    expires=timedelta(days=7),
)
SEND = step(
    "send", StepKind.PIVOT, command=template("mail", "Send", body=Ref("review", ("subject",), ScalarType.OBJECT))
)


def whole(case: Case, **options: bool) -> tuple[Span, ...]:
    """The spans of its history, which make one nested tree."""
    spans = rebuild(case.plan, case.commits, **options)
    nested(tree(spans))
    return spans


def test_approved_after_three_days() -> None:
    """The request is a span as long as it was open; who decided, and that it was this request, is another."""
    case = Case(plan(REVIEW, SEND, deadline=timedelta(days=9)), input=b'{"id":"%s"}' % SECRET.encode())
    case.pass_time(THREE_DAYS.total_seconds())
    request = case.state.requests["review"]
    decision = i.DecisionGiven(
        now=case.now, path="review", choice=Choice.APPROVE, approver="bo", by="desk", roles=frozenset({"editor"}),
        request="r", digest=request.digest, reason=SECRET,
    )  # fmt: skip
    case.when(decision)
    case.pass_time(1)
    case.ok("send")
    spans = whole(case)
    found = tree(spans)
    (approval,), (decided,) = found.find("approval review"), found.find("approve review")
    assert approval.span.end_ns - approval.span.start_ns == THREE_DAYS.total_seconds() * 1e9
    assert attribute(approval.span, "saga.outcome") == "approved"
    assert attribute(decided.span, "saga.actor") == "bo"
    assert attribute(decided.span, "saga.asserted_by") == "desk"
    assert [(link.span, link.kind) for link in decided.span.links] == [(approval.span.id, "about")]
    assert SECRET not in repr(spans)
    assert found.find("send")


def test_a_request_nobody_answers() -> None:
    """It expires, and the saga says so."""
    case = Case(plan(REVIEW, SEND, deadline=timedelta(days=9)))
    case.tick(timedelta(days=7, seconds=1).total_seconds())
    (approval,) = tree(whole(case)).find("approval review")
    assert approval.span.error == "expired"


def test_waiting_for_time_and_for_a_signal() -> None:
    """Each wait is labelled; the signal that ended one stands beside it, without its body."""
    blocks = (Sleep(path="cool", time=Literal(raw('"PT1H"'))), Await(path="paid", signal="payment"), step("ship"))
    case = Case(plan(*blocks))
    case.tick(3_601)
    signal = (
        e.SignalReceived(at=after(4_000), signal="payment", message_id=SECRET, body=raw(f'"{SECRET}"'), by="shop"),
        e.SignalConsumed(at=after(4_000), path="paid", message_id=SECRET),
    )
    spans = rebuild(case.plan, [*case.commits, signal])
    found = tree(spans)
    (cool,), (paid,), (heard,) = found.find("wait cool"), found.find("wait paid"), found.find("signal payment")
    assert cool.span.end_ns == paid.span.start_ns
    assert paid.span.end_ns == heard.span.start_ns
    assert attribute(heard.span, "saga.asserted_by") == "shop"
    assert SECRET not in repr(spans)


def test_a_failing_branch() -> None:
    """Steps of branches overlap; what the other branch did is undone, linked to what it undoes."""
    branches = (
        Branch(path="both/left", body=(_in("both/left"),)),
        Branch(path="both/right", body=(_in("both/right"),)),
    )
    case = Case(plan(Parallel(path="both", branches=branches)))
    case.pass_time(1)
    case.ok("both/left/step")
    case.pass_time(1)
    case.failed("both/right/step")
    case.pass_time(1)
    case.ok("both/left/step")
    found = tree(whole(case))
    (left,), (right,), (undo,) = (
        found.find("both/left/step"),
        found.find("both/right/step"),
        found.find("undo both/left/step"),
    )
    assert left.span.start_ns == right.span.start_ns
    assert [(link.span, link.kind) for link in undo.span.links] == [(left.span.id, "compensates")]
    assert attribute(found.find("order")[0].span, "saga.status") == "compensated"


def _in(branch: str) -> Step:
    return step(f"{branch}/step", service=branch.replace("/", "-"), retry=RetryPolicy())


def test_a_child_is_part_of_its_parents_trace() -> None:
    """It begins below the attempt that asked for it, under the root's trace id; undone later, it says so again."""
    root = "01930000-0000-7000-8000-00000000aaaa"
    case = Case(plan(step("reserve")), traceparent=traceparent(root, "ab" * 8))
    first = msgspec.structs.replace(case.commits[0][0], root=root, parent=root)
    case.ok()
    commits = [(first, *case.commits[0][1:]), *case.commits[1:]]
    undone = (e.CompensationStarted(at=after(60), because="parent"), e.SagaCompensated(at=after(61)))
    spans = rebuild(case.plan, [*commits, undone])
    assert {span.trace for span in spans} == {trace_id(root)}
    (anchor,) = (span for span in spans if span.name == "order started")
    assert (anchor.parent, anchor.links) == ("ab" * 8, ())
    assert [span.name for span in spans][-1] == "order undone"


def test_steps_of_items_have_their_commands() -> None:
    """The address of an item is no path of the definition; its command is."""
    case = Case(plan(step("seats/hold")))
    issued = next(event for event in case.commits[0] if isinstance(event, e.CommandIssued))
    item = msgspec.structs.replace(issued, path="seats[2]/hold", at=NOW)
    started = (
        case.commits[0][0],
        e.MapStarted(at=NOW, path="seats", items=(raw(f'"{SECRET}"'), raw("2"))),
        item,
        e.StepSucceeded(at=NOW, path="seats[2]/hold", execution=1, reply=raw("null"), attempt=1),
    )
    _, spans = trace_commit(case.plan, None, started)
    (sent,) = (span for span in spans if span.name.startswith("send"))
    assert sent.name.endswith(".v1")
    (begins,) = (span for span in spans if span.name == "seats begins")
    assert attribute(begins, "saga.items") == 2
    assert SECRET not in repr(spans)
    assert SAGA in repr(spans)


def test_a_digest_is_no_attribute() -> None:
    """It would tell whether a guess is right."""
    case = Case(plan(REVIEW, SEND, deadline=timedelta(days=9)))
    assert digest_of(case.state.requests["review"].subject) not in repr(whole(case))


def test_a_branch_that_is_given_up_waits_no_longer() -> None:
    """Its sleep ends when another branch has won, and so does what stood in front of a person; not with the saga."""
    once = RetryPolicy(attempts=1)
    branches = (
        Branch(path="left", body=(step("a"),)),
        Branch(path="right", body=(Sleep(path="night", time=Literal(raw('"P1D"'))),)),
        Branch(path="middle", body=(step("b", retry=once),)),
    )
    case = Case(plan(Parallel(path="both", branches=branches, join=Join.ANY), step("after")))
    case.answer(case.sent("b"), Outcome.RETRY, code="unavailable")
    case.ok("a")
    case.pass_time(60)
    case.ok("b")
    case.ok("after")
    spans = whole(case)
    chosen = next(span for span in spans if span.name == "both takes left")
    ends = {span.name: span.end_ns for span in spans}
    assert (ends["wait night"], ends["parked"]) == (chosen.end_ns, chosen.end_ns), sorted(ends)
