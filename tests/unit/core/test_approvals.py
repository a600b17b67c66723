"""Approvals: who may decide, what a decision is about, and that a permit is used once."""

from datetime import timedelta
from typing import Any

import pytest

from saga.core import events as e
from saga.core import inputs as i
from saga.core.approvals import digest_of
from saga.core.blocks import REJECTED, Approval, Attempt, Branch, OnSilence, Parallel, StepKind
from saga.core.decisions import objection
from saga.core.events import Choice
from saga.core.expression import Compare, Literal, Object, Ref, ScalarType, Text
from saga.core.messages import Outcome
from saga.core.outstanding import next_wake, view, waits
from saga.core.state import Phase
from tests.builders import INPUT_ID, Case, after, names, plan, raw, step, template

SUBJECT = Object({"to": INPUT_ID, "text": Ref("draft", ("text",), ScalarType.STR)})
BODY = b'{"text":"hello","to":"o1"}'
DAYS = timedelta(days=2)


def review(**changes: Any) -> Approval:
    """Editors approve the letter that `send` sends."""
    fields: dict[str, Any] = {
        "path": "review",
        "subject": SUBJECT,
        "subject_type": "mail.Send.v1",
        "guards": "send",
        "roles": ("editor",),
        "summary": Text("Letter to {}", (INPUT_ID,)),
        "expires": DAYS,
    }
    return Approval(**{**fields, **changes})


def letter(kind: StepKind = StepKind.PIVOT, **changes: Any) -> Case:
    """A drafted letter that waits for its approval."""
    send = step("send", kind, command=template("mail", "Send", body=Ref("review", ("subject",), ScalarType.OBJECT)))
    case = Case(plan(step("draft"), review(**changes), send, deadline=timedelta(days=9)), actor="ada")
    case.ok("draft", b'{"text":"hello"}')
    return case


def decision(case: Case, choice: Choice = Choice.APPROVE, approver: str = "bo", **changes: Any) -> i.DecisionGiven:
    """Somebody decides on what is to be seen now."""
    request = case.state.requests["review"]
    fields: dict[str, Any] = {
        "now": case.now,
        "path": "review",
        "choice": choice,
        "approver": approver,
        "by": "desk",
        "roles": frozenset({"editor"}),
        "request": f"{approver} {choice}",
        "digest": request.digest,
    }
    return i.DecisionGiven(**{**fields, **changes})


def refusal(case: Case, given: i.DecisionGiven) -> tuple[str, str]:
    """Code and text of the objection; it changes nothing."""
    found = objection(case.plan, case.state, given)
    assert found is not None
    assert case.when(given) == ()
    return found.code, found.text


def test_what_was_approved_is_what_is_sent() -> None:
    """The request carries bytes, digest, summary and roles; the approval opens the way, and the permit is spent."""
    case = letter()
    (requested,) = [event for event in case.commits[-1] if isinstance(event, e.ApprovalRequested)]
    assert (bytes(requested.subject), requested.digest) == (BODY, digest_of(BODY))
    assert (requested.summary, requested.roles, requested.number) == ("Letter to o1", ("editor",), 1)
    assert [wait.text for wait in waits(case.plan, case.state)] == ["review: editor may decide"]
    events = case.when(decision(case))
    assert names(events) == [
        "ApprovalDecided review",
        "ApprovalClosed review",
        "PermitUsed review",
        "CommandIssued send",
    ]
    assert case.sent().body == BODY


def test_the_same_decision_again_changes_nothing() -> None:
    """A double click, or a replayed message."""
    case = letter(quorum=2)
    given = decision(case)
    assert case.when(given)
    assert case.when(given) == ()
    assert objection(case.plan, case.state, given) is None


def test_the_opposite_of_what_one_said_is_refused_and_names_the_first() -> None:
    """Per person the first decision counts."""
    case = letter(quorum=2)
    case.when(decision(case))
    code, text = refusal(case, decision(case, Choice.REJECT))
    assert code == "already-decided"
    assert text.startswith("bo approved this at 2026-01-01T00:00:00+00:00; the first one counts. To stop the saga")


def test_a_closed_request_names_who_closed_it() -> None:
    """Somebody else comes too late."""
    case = letter()
    case.when(decision(case))
    code, text = refusal(case, decision(case, Choice.REJECT, "cy"))
    assert code == "already-decided"
    assert "approved by bo" in text


def test_a_quorum_needs_different_people_and_one_no_ends_it() -> None:
    """Two approvals of two people; one rejection closes the request."""
    case = letter(quorum=2)
    assert names(case.when(decision(case))) == ["ApprovalDecided review"]
    assert [wait.text for wait in waits(case.plan, case.state)] == ["review: 1 more of editor may decide"]
    assert names(case.when(decision(case, approver="cy")))[-1] == "CommandIssued send"
    other = letter(quorum=2)
    other.when(decision(other))
    assert "CompensationStarted" in str(names(other.when(decision(other, Choice.REJECT, "cy", reason="rude"))))
    assert other.state.because == "review: cy said no: rude"


def test_a_refused_approval_may_take_another_way() -> None:
    """An attempt that names it catches the rejection."""
    blocks = (step("draft"), review(guards=None))
    case = Case(plan(Attempt(path="try", on=(REJECTED,), body=blocks, otherwise=(step("z"),))))
    case.ok("draft", b'{"text":"hello"}')
    case.when(decision(case, Choice.REJECT))
    case.ok("draft")
    assert case.sent().path == "z"


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"roles": frozenset({"clerk"})}, "not-allowed", "needs the role editor; bo has: clerk"),
        ({"roles": frozenset()}, "not-allowed", "bo has: none"),
        ({"digest": "0" * 64}, "changed", "look again"),
        ({"number": 2}, "changed", "request 2 is not the one to decide on: it is request 1"),
        ({"path": "revue"}, "unknown-approval", "'revue'; waiting are: review"),
        ({"edited": BODY.replace(b"hello", b"bye")}, "not-editable", "not changed"),
    ],
)
def test_decisions_that_do_not_count(changes: dict[str, Any], code: str, says: str) -> None:
    """Each is refused with a reason a person understands."""
    case = letter()
    found = refusal(case, decision(case, **changes))
    assert found[0] == code
    assert says in found[1]


def test_who_asked_may_not_decide() -> None:
    """The requester is excluded where the definition says so."""
    case = letter(exclude_requester=True)
    assert refusal(case, decision(case, approver="ada"))[0] == "requester"
    assert case.when(decision(case))


def test_without_a_requester_the_exclusion_cannot_be_kept() -> None:
    """It parks instead of letting anybody decide."""
    case = Case(plan(step("draft"), review(guards=None, exclude_requester=True)))
    case.ok("draft", b'{"text":"hello"}')
    assert "requester" in case.state.parked["review"].text


@pytest.mark.parametrize("who", ["", "  "])
def test_a_blank_requester_is_nobody(who: str) -> None:
    """Else whoever leaves the field empty may approve what they asked for themselves."""
    named = Ref("input", ("who",), ScalarType.STR)
    blocks = step("draft"), review(guards=None, exclude_requester=True)
    case = Case(plan(*blocks, requester=named), input=b'{"id":"o1","who":"%s"}' % who.encode())
    assert case.state.requester is None
    case.ok("draft", b'{"text":"hello"}')
    assert "requester" in case.state.parked["review"].text


def test_an_approver_changes_only_what_may_be_changed() -> None:
    """The edited bytes are what is approved, and what is sent."""
    case = letter(editable=("text",))
    assert refusal(case, decision(case, edited=b'{"to":"o2","text":"hello"}'))[1].startswith("to may not be changed")
    assert refusal(case, decision(case, edited=b'{"to":"o1","text":7}'))[1] == "text must stay a text"
    assert refusal(case, decision(case, edited=b'{"to":"o1"}'))[0] == "not-editable"
    assert refusal(case, decision(case, edited=b"nonsense"))[0] == "not-editable"
    edited = b'{"to":"o1","text":"dear o1"}'
    case.when(decision(case, edited=edited))
    assert case.sent().body == edited


def test_after_an_edit_the_second_approver_decides_on_the_new_bytes() -> None:
    """The digest of what was there before is not what is to be approved any more."""
    case = letter(quorum=2, editable=("text",))
    old = case.state.requests["review"].digest
    case.when(decision(case, edited=b'{"to":"o1","text":"bye"}'))
    assert refusal(case, decision(case, approver="cy", digest=old))[0] == "changed"
    other = decision(case, approver="cy", edited=b'{"to":"o1","text":"hi"}')
    assert refusal(case, other)[1].startswith("bo has approved it as it is")
    assert names(case.when(decision(case, approver="cy")))[-1] == "CommandIssued send"


@pytest.mark.parametrize(
    ("policy", "because"), [(OnSilence.REJECT, "nobody decided in time"), (OnSilence.COMPENSATE, "nobody decided")]
)
def test_silence_ends_a_request(policy: OnSilence, because: str) -> None:
    """When the time is up the request closes; a click after that is refused, also before anybody looked."""
    case = letter(on_silence=policy)
    assert next_wake(case.plan, case.state, case.now, 99) == after(2 * 86_400)
    case.pass_time(DAYS.total_seconds())
    assert refusal(case, decision(case))[0] == "approval-expired"
    assert "ApprovalClosed review" in names(case.tick())
    assert because in case.state.because
    assert refusal(case, decision(case))[0] == "approval-expired"


def test_silence_may_ask_others() -> None:
    """Once; their silence is a refusal."""
    case = letter(on_silence=OnSilence.ESCALATE, escalate_to=("head",), expires=timedelta(hours=1))
    assert names(case.tick(3_600)) == ["ApprovalEscalated review"]
    head = decision(case, approver="dee", roles=frozenset({"head"}))
    assert objection(case.plan, case.state, head) is None
    case.tick(3_600)
    assert case.state.because_code == REJECTED


def test_reminders_come_again_and_again() -> None:
    """Each is a fact somebody can be told of; the request stays open."""
    case = letter(remind_every=timedelta(hours=1))
    assert names(case.tick(3_600)) == ["ApprovalReminded review"]
    assert case.tick(3_599) == ()
    assert names(case.tick(1)) == ["ApprovalReminded review"]


def test_an_approval_may_not_be_needed() -> None:
    """The condition does not hold: what is sent is the subject, without a permit."""
    never = Compare("eq", ScalarType.STR, INPUT_ID, Literal(raw('"o2"')))
    case = letter(condition=never)
    assert names(case.commits[-1])[1:] == ["ApprovalWaived review", "CommandIssued send"]
    assert case.sent().body == BODY


def test_each_execution_needs_a_permit_of_its_own() -> None:
    """Declined after the pivot stage and tried again by an operator: somebody approves again, then it is sent."""
    case = letter(StepKind.RETRYABLE)
    case.when(decision(case))
    case.failed("send")
    assert case.state.phase is Phase.COMPENSATING
    pivot = Case(
        plan(
            step("draft"),
            step("go", StepKind.PIVOT),
            review(),
            step(
                "send",
                StepKind.RETRYABLE,
                command=template("mail", "Send", body=Ref("review", ("subject",), ScalarType.OBJECT)),
            ),
        )
    )
    pivot.ok("draft", b'{"text":"hello"}')
    pivot.ok("go")
    pivot.when(decision(pivot))
    pivot.failed("send")
    retry = i.Resolve(now=pivot.now, path="send", verdict=i.Verdict.RETRY, actor="olga", reason="mended")
    assert names(pivot.when(retry)) == ["StepReleased send", "ApprovalRequested review"]
    assert pivot.state.requests["review"].number == 2
    assert pivot.when(decision(pivot)) == (), "the message of the first decision, delivered again"
    assert pivot.when(decision(pivot, request="by number", number=1)) == ()
    assert names(pivot.when(decision(pivot, request="a second click", number=2)))[-2:] == [
        "PermitUsed review",
        "CommandIssued send",
    ]


def test_a_refusal_after_the_pivot_parks_and_may_be_asked_again() -> None:
    """There is no way back: a person sees it, and may ask anew."""
    case = Case(plan(step("draft"), step("go", StepKind.PIVOT), review(guards=None)))
    case.ok("draft", b'{"text":"hello"}')
    case.ok("go")
    case.when(decision(case, Choice.REJECT))
    assert case.state.parked["review"].code == "rejected"
    retry = i.Resolve(now=case.now, path="review", verdict=i.Verdict.RETRY, actor="olga", reason="ask again")
    assert names(case.when(retry)) == ["StepReleased review", "ApprovalRequested review"]


def test_a_pause_moves_the_time_to_decide_and_decisions_are_recorded() -> None:
    """Nothing is issued meanwhile; resumed, it goes on."""
    case = letter(expires=timedelta(hours=1))
    case.pass_time(600)
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    case.pass_time(7_200)
    assert names(case.when(decision(case))) == ["ApprovalDecided review", "ApprovalClosed review"]
    resumed = case.when(i.Resume(now=case.now, actor="olga", reason="r"))
    assert names(resumed)[-2:] == ["PermitUsed review", "CommandIssued send"]


def test_nothing_is_decided_on_a_saga_that_is_undone() -> None:
    """A cancel overtakes the decision."""
    case = letter()
    case.when(i.Cancel(now=case.now, request="c", by="shop", actor=None, reason="r"))
    assert refusal(case, decision(case))[0] == "ended"
    assert [wait.kind for wait in waits(case.plan, case.state)] == ["reply"]


def test_what_waits_for_a_decision_is_found_by_it() -> None:
    """Whatever else the saga waits for: its row names the approval first, and a pause before that."""
    branches = (
        Branch(path="one", body=(review(guards=None, subject=INPUT_ID),)),
        Branch(path="two", body=(step("a"),)),
    )
    case = Case(plan(Parallel(path="both", branches=branches)))
    assert view(case.plan, case.state).wait_kind == "approval"
    case.answer(case.sent("a"), Outcome.REFUSED, code="in-doubt")
    found = view(case.plan, case.state)
    assert (found.status, found.wait_kind) == ("parked", "approval")
    case.when(i.Pause(now=case.now, actor="olga", reason="r"))
    assert view(case.plan, case.state).wait_kind == "paused"
