"""Approvals: requests, decisions and permits.

An approval guards a named step. At every execution of that step its condition and subject are looked at again on the
data of that time: a permit whose digest is that of the command about to be sent is used up by this one execution, else
a new request is opened. A gate guards nothing but going on.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime

import msgspec

from saga.core import events as e
from saga.core.address import address_of, instance, template
from saga.core.blocks import EXPIRED, REJECTED, Approval, OnSilence, Step
from saga.core.bounds import DECISIONS_MAX, SUMMARY_CHARACTERS_MAX
from saga.core.evaluation import holds, render
from saga.core.expression import JSON_NULL, EvaluationError
from saga.core.inputs import DecisionGiven, Refusal
from saga.core.limits import BODY_BYTES_MAX
from saga.core.messages import Kind
from saga.core.place import Place
from saga.core.plan import Plan, wanted
from saga.core.progress import BLOCKED, DONE, Emit, Failing, Progress
from saga.core.state import Decided, Order, Request, SagaState

replace = msgspec.structs.replace


def digest_of(subject: bytes) -> str:
    """Hex SHA-256: what an approver saw, and what may be sent."""
    return hashlib.sha256(subject).hexdigest()


# ------------------------------------------------------------------------------------------------------- the walk


def approval(place: Place, block: Approval) -> Progress:
    """Ask, and wait for the decision."""
    state, here = place.state, place.path(block.path)
    if here in state.parked:
        return BLOCKED
    request = state.requests.get(here)
    if request is None or request.released:
        return Emit((_ask(place, block),))
    if request.number == 0:
        return DONE
    match request.closed:
        case None:
            return BLOCKED
        case e.Closed.APPROVED:
            return DONE
        case e.Closed.REJECTED:
            return Failing(here, REJECTED, REJECTED, _refused_by(request))
        case e.Closed.EXPIRED:
            code = EXPIRED if block.on_silence is OnSilence.COMPENSATE else REJECTED
            return Failing(here, code, code, "nobody decided in time")


def _refused_by(request: Request) -> str:
    last = request.decisions[-1]
    return f"{last.approver} said no" + (f": {last.reason}" if last.reason else "")


def permit(place: Place, step: Step, execution: int, body: bytes) -> e.AnyEvent | None:
    """What stands before an execution of a step: its permit is used, or a decision is asked for; None if neither."""
    block = place.plan.guards.get(template(step.path))
    if block is None:
        return None
    here, digest = place.path(block.path), digest_of(body)
    request = place.state.requests.get(here)
    approved = request is not None and request.closed is e.Closed.APPROVED and request.used_by is None
    if request is not None and approved and request.digest == digest:
        return e.PermitUsed(
            at=place.now, path=here, number=request.number, step=step.path, execution=execution, digest=digest
        )
    asked = _ask(place, block)
    return None if isinstance(asked, e.ApprovalWaived) else asked


def is_permitted_again(plan: Plan, state: SagaState, step: Step, since: Order) -> bool:
    """Somebody approved one more execution of a step that was settled before."""
    block = plan.guards.get(template(step.path))
    if block is None:
        return False
    request = state.requests.get(instance(block.path, address_of(step.path)))
    if request is None or request.closed is not e.Closed.APPROVED:
        return False
    return request.used_by is None and request.opened > since


def _ask(place: Place, block: Approval) -> e.AnyEvent:
    """A new request; that none is needed; or why it cannot be made."""
    state, here, now = place.state, place.path(block.path), place.now
    try:
        read = place.read()
        subject = render(block.subject, read)
        if block.condition is not None and not holds(block.condition, read):
            return e.ApprovalWaived(at=now, path=here, subject=msgspec.Raw(subject))
        summary = "" if block.summary is None else str(msgspec.json.decode(render(block.summary, read)))
    except EvaluationError as error:
        return _park(here, e.ParkCode.EVALUATION, f"what is to be approved cannot be told: {error}", now)
    if len(subject) > BODY_BYTES_MAX:
        text = f"what is to be approved has {len(subject)} bytes, at most {BODY_BYTES_MAX}"
        return _park(here, e.ParkCode.TOO_LARGE, text, now)
    if block.exclude_requester and state.requester is None:
        return _park(here, e.ParkCode.EVALUATION, "the requester may not decide, but nobody is named as requester", now)
    before = state.requests.get(here)
    return e.ApprovalRequested(
        at=now,
        path=here,
        number=1 if before is None else before.number + 1,
        subject=msgspec.Raw(subject),
        digest=digest_of(subject),
        roles=block.roles,
        quorum=block.quorum,
        summary=summary[:SUMMARY_CHARACTERS_MAX],
        requester=state.requester if block.exclude_requester else None,
        expires_at=None if block.expires is None else now + block.expires,
        remind_at=None if block.remind_every is None else now + block.remind_every,
    )


def _park(path: str, code: e.ParkCode, text: str, now: datetime) -> e.AnyEvent:
    return e.StepParked(at=now, path=path, kind=Kind.ACTION, code=code, text=text)


# ------------------------------------------------------------------------------------------------------ decisions


def waiting(plan: Plan, state: SagaState) -> Iterator[tuple[str, Request]]:
    """Requests a person can decide on now."""
    for path, request in state.requests.items():
        if request.number and request.closed is None and not request.released and wanted(plan, state, path):
            yield path, request


def objection(plan: Plan, state: SagaState, given: DecisionGiven) -> Refusal | None:
    """Why a decision does not count, for the person who made it; None when it does, or was made before."""
    block = plan.blocks.get(template(given.path))
    request = state.requests.get(given.path)
    if not isinstance(block, Approval) or request is None or request.number == 0:
        asked = ", ".join(path for path, _ in waiting(plan, state)) or "none"
        return Refusal("unknown-approval", f"nothing is to be approved at {given.path!r}; waiting are: {asked}")
    earlier = next((d for d in request.decisions if d.approver == given.approver), None)
    if earlier is not None and earlier.choice is given.choice and earlier.digest == given.digest:
        return None
    if earlier is not None:
        said = "approved" if earlier.choice is e.Choice.APPROVE else "rejected"
        return Refusal("already-decided", f"{given.approver} {said} this at {_time(earlier.at)}; the first one counts")
    over = _over(plan, state, given, request)
    if over is not None:
        return over
    if request.requester is not None and given.approver == request.requester:
        return Refusal("requester", f"{given.approver} asked for this and may not decide on it")
    if not given.roles & set(request.roles):
        held = ", ".join(sorted(given.roles)) or "none"
        wanted_roles = " or ".join(request.roles)
        return Refusal("not-allowed", f"deciding needs the role {wanted_roles}; {given.approver} has: {held}")
    if given.digest != request.digest:
        return Refusal("changed", "what is to be approved is not what was looked at any more; look again")
    return None if given.edited is None else _bad_edit(block, request, given.edited)


def _over(plan: Plan, state: SagaState, given: DecisionGiven, request: Request) -> Refusal | None:
    now = given.now if state.paused_at is None else min(given.now, state.paused_at)
    match request.closed:
        case e.Closed.APPROVED | e.Closed.REJECTED:
            who = ", ".join(f"{d.approver} ({d.choice}, {_time(d.at)})" for d in request.decisions)
            return Refusal("already-decided", f"this was {request.closed} by {who}")
        case e.Closed.EXPIRED:
            return Refusal("expired", f"the time to decide ended at {_time(request.closed_at or now)}")
        case None:
            pass
    if state.terminal or not wanted(plan, state, given.path):
        return Refusal("ended", f"the saga does not go this way any more: {state.because or state.phase}")
    if request.expires_at is not None and now >= request.expires_at:
        return Refusal("expired", f"the time to decide ended at {_time(request.expires_at)}")
    if len(request.decisions) >= DECISIONS_MAX:
        return Refusal("too-many", f"{len(request.decisions)} people have decided")
    return None


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
    if objection(plan, state, given) is not None:
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


def due(plan: Plan, state: SagaState, now: datetime) -> tuple[e.AnyEvent, ...]:
    """Requests whose time is up: others are asked, or nobody decided; and reminders."""
    found: list[e.AnyEvent] = []
    for path, request in waiting(plan, state):
        block = plan.blocks[template(path)]
        if not isinstance(block, Approval):
            continue
        if request.expires_at is not None and request.expires_at <= now:
            found.append(_silence(block, path, request, now))
        elif request.remind_at is not None and request.remind_at <= now and block.remind_every is not None:
            next_at = now + block.remind_every
            found.append(e.ApprovalReminded(at=now, path=path, number=request.number, next_at=next_at))
    return tuple(found)


def _silence(block: Approval, path: str, request: Request, now: datetime) -> e.AnyEvent:
    if block.on_silence is OnSilence.ESCALATE and not request.escalated and block.expires is not None:
        roles = (*request.roles, *(role for role in block.escalate_to if role not in request.roles))
        return e.ApprovalEscalated(
            at=now, path=path, number=request.number, roles=roles, expires_at=now + block.expires
        )
    return e.ApprovalClosed(at=now, path=path, number=request.number, how=e.Closed.EXPIRED)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


# -------------------------------------------------------------------------------------------------------- the fold

Deciding = (
    e.ApprovalRequested
    | e.ApprovalWaived
    | e.ApprovalDecided
    | e.ApprovalClosed
    | e.ApprovalEscalated
    | e.ApprovalReminded
    | e.PermitUsed
)


def evolved(state: SagaState, event: Deciding, here: Order) -> SagaState:
    """The state after what happened to an approval."""
    if isinstance(event, e.ApprovalRequested | e.ApprovalWaived):
        request = _opened(event, here)
        recorded = state.recorded_bytes + len(request.subject)
        return replace(state, requests={**state.requests, event.path: request}, recorded_bytes=recorded)
    request = state.requests[event.path]
    match event:
        case e.ApprovalDecided():
            request = _decided(request, event)
        case e.ApprovalClosed():
            request = replace(request, closed=event.how, closed_at=event.at)
        case e.ApprovalEscalated():
            request = replace(request, roles=event.roles, expires_at=event.expires_at, escalated=True)
        case e.ApprovalReminded():
            request = replace(request, remind_at=event.next_at)
        case e.PermitUsed():
            request = replace(request, used_by=event.execution)
    return replace(state, requests={**state.requests, event.path: request})


def _opened(event: e.ApprovalRequested | e.ApprovalWaived, here: Order) -> Request:
    subject = bytes(event.subject)
    if isinstance(event, e.ApprovalWaived):
        return Request(number=0, opened=here, opened_at=event.at, subject=subject, digest=digest_of(subject))
    return Request(
        number=event.number,
        opened=here,
        opened_at=event.at,
        subject=subject,
        digest=event.digest,
        roles=event.roles,
        quorum=event.quorum,
        summary=event.summary,
        requester=event.requester,
        expires_at=event.expires_at,
        remind_at=event.remind_at,
    )


def _decided(request: Request, event: e.ApprovalDecided) -> Request:
    edited = bytes(event.edited) != JSON_NULL
    subject = bytes(event.edited) if edited else request.subject
    digest = digest_of(subject) if edited else request.digest
    decision = Decided(
        approver=event.approver,
        choice=event.choice,
        digest=event.digest,
        at=event.at,
        request=event.request,
        reason=event.reason,
    )
    return replace(
        request,
        decisions=(*request.decisions, decision),
        subject=subject,
        digest=digest,
        edited=request.edited or edited,
    )


def asked_again(state: SagaState, path: str) -> SagaState:
    """An operator released an approval that was refused: it is asked for anew."""
    request = state.requests.get(path)
    if request is None or request.closed in (None, e.Closed.APPROVED):
        return state
    return replace(state, requests={**state.requests, path: replace(request, released=True)})


def moved(request: Request, paused_at: datetime, now: datetime) -> Request:
    """After a pause of the saga: the time to decide goes on where it stood."""
    if request.closed is not None:
        return request
    slept = now - max(paused_at, request.opened_at)
    return replace(
        request,
        expires_at=None if request.expires_at is None else request.expires_at + slept,
        remind_at=None if request.remind_at is None else request.remind_at + slept,
    )
