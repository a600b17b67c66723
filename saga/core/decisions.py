"""Decisions: which count, and what they close. The errors are read by the people who decided."""

from datetime import datetime

import msgspec

from saga.core import events as e
from saga.core.address import template
from saga.core.approvals import waiting
from saga.core.blocks import Approval
from saga.core.bounds import DECISIONS_MAX
from saga.core.expression import JSON_NULL
from saga.core.inputs import DecisionGiven, Refusal
from saga.core.limits import BODY_BYTES_MAX
from saga.core.plan import Plan, wanted
from saga.core.state import Decided, Request, SagaState


def objection(plan: Plan, state: SagaState, given: DecisionGiven) -> Refusal | None:
    """Why a decision does not count, for the person who made it; None when it does, or was made before."""
    if given.request in state.decision_ids:
        return None
    block = plan.blocks.get(template(given.path))
    request = state.requests.get(given.path)
    if not isinstance(block, Approval) or request is None or request.number == 0:
        asked = ", ".join(path for path, _ in waiting(plan, state)) or "none"
        return Refusal("unknown-approval", f"nothing is to be approved at {given.path!r}; waiting are: {asked}")
    if given.number is not None and given.number != request.number:
        text = f"request {given.number} is not the one to decide on: it is request {request.number}; look again"
        return Refusal("changed", text)
    earlier = next((d for d in request.decisions if d.approver == given.approver), None)
    if earlier is None:
        return _over(plan, state, given, request) or _not_theirs(request, given) or _not_this(block, request, given)
    if earlier.choice is given.choice and earlier.digest == given.digest:
        return None
    said = "approved" if _approved(earlier) else "rejected"
    text = f"{given.approver} {said} this at {_time(earlier.at)}; the first one counts"
    return Refusal(
        "already-decided", f"{text}. To stop the saga all the same, cancel it" if _approved(earlier) else text
    )


def _not_theirs(request: Request, given: DecisionGiven) -> Refusal | None:
    if request.requester is not None and given.approver == request.requester:
        return Refusal("requester", f"{given.approver} asked for this and may not decide on it: somebody else must")
    if not given.roles & set(request.roles):
        held = ", ".join(sorted(given.roles)) or "none"
        wanted_roles = " or ".join(request.roles)
        text = f"deciding needs the role {wanted_roles}; {given.approver} has: {held}. Ask somebody who has it"
        return Refusal("not-allowed", text)
    return None


def _not_this(block: Approval, request: Request, given: DecisionGiven) -> Refusal | None:
    if given.digest != request.digest:
        return Refusal("changed", "what is to be approved is not what was looked at any more; look again")
    return None if given.edited is None else _bad_edit(block, request, given.edited)


def _over(plan: Plan, state: SagaState, given: DecisionGiven, request: Request) -> Refusal | None:
    now = given.now if state.paused_at is None else min(given.now, state.paused_at)
    match request.closed:
        case e.Closed.APPROVED | e.Closed.REJECTED:
            who = ", ".join(f"{d.approver} ({d.choice}, {_time(d.at)})" for d in request.decisions)
            return Refusal("already-decided", f"this was {request.closed} by {who}; nothing is left to decide")
        case e.Closed.EXPIRED:
            return _too_late(request.closed_at or now)
        case None:
            pass
    if state.terminal or not wanted(plan, state, given.path):
        return Refusal("ended", f"the saga does not go this way any more: {state.because or state.phase}")
    if request.expires_at is not None and now >= request.expires_at:
        return _too_late(request.expires_at)
    if len(request.decisions) >= DECISIONS_MAX:
        return Refusal("too-many", f"{len(request.decisions)} people have decided")
    return None


def _approved(decision: Decided) -> bool:
    return decision.choice is e.Choice.APPROVE


def _too_late(ended_at: datetime) -> Refusal:
    text = f"the time to decide ended at {_time(ended_at)}: this does not count, and nothing was sent"
    return Refusal("approval-expired", text)


def _bad_edit(block: Approval, request: Request, edited: bytes) -> Refusal | None:
    """An approver may change what the definition lets be changed, before anybody else approved."""
    if not block.editable:
        return Refusal("not-editable", "this may be approved or rejected, not changed")
    if request.decisions:
        first = request.decisions[0].approver
        return Refusal("not-editable", f"{first} has approved it as it is; reject it instead")
    try:
        before = _OBJECT.decode(request.subject)
        after = _OBJECT.decode(edited)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Refusal("not-editable", f"the changed subject is no JSON object: {error}")
    if len(edited) > BODY_BYTES_MAX:
        return Refusal("too-large", f"the changed subject has {len(edited)} bytes, at most {BODY_BYTES_MAX}")
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    forbidden = sorted(changed - set(block.editable))
    if forbidden:
        allowed = ", ".join(block.editable)
        return Refusal("not-editable", f"{', '.join(forbidden)} may not be changed; editable are: {allowed}")
    for name in changed:
        if name not in before or name not in after or _kind(before[name]) != _kind(after[name]):
            return Refusal("not-editable", f"{name} must stay {_kind(before.get(name, msgspec.Raw(b'')))}")
    return None


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KINDS = {b'"': "a text", b"{": "an object", b"[": "a list", b"t": "true or false", b"f": "true or false", b"n": "null"}


def _kind(value: msgspec.Raw) -> str:
    first = bytes(value)[:1]
    return _KINDS.get(first, "a number" if first else "absent")


def on_decision(plan: Plan, state: SagaState, given: DecisionGiven) -> tuple[e.AnyEvent, ...]:
    """Record a person's first decision, and what it closes."""
    if given.request in state.decision_ids or objection(plan, state, given) is not None:
        return ()
    request = state.requests[given.path]
    if any(d.approver == given.approver for d in request.decisions):
        return ()
    edited = given.edited if given.edited is not None and given.edited != request.subject else None
    decided = e.ApprovalDecided(
        at=given.now,
        path=given.path,
        number=request.number,
        choice=given.choice,
        approver=given.approver,
        by=given.by,
        digest=given.digest,
        request=given.request,
        reason=given.reason,
        roles=tuple(sorted(given.roles & set(request.roles))),
        edited=msgspec.Raw(edited or JSON_NULL),
    )
    approvals = 1 + sum(d.choice is e.Choice.APPROVE for d in request.decisions)
    if given.choice is e.Choice.REJECT:
        how = e.Closed.REJECTED
    elif approvals >= request.quorum:
        how = e.Closed.APPROVED
    else:
        return (decided,)
    return (decided, e.ApprovalClosed(at=given.now, path=given.path, number=request.number, how=how))


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
