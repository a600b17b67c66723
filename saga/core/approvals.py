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
from saga.core.bounds import SUMMARY_CHARACTERS_MAX
from saga.core.evaluation import holds, render
from saga.core.expression import EvaluationError
from saga.core.limits import BODY_BYTES_MAX
from saga.core.messages import Kind
from saga.core.place import Place
from saga.core.plan import Plan, wanted
from saga.core.progress import BLOCKED, DONE, Emit, Failing, Progress
from saga.core.state import Order, Request, SagaState

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


def waiting(plan: Plan, state: SagaState) -> Iterator[tuple[str, Request]]:
    """Requests a person can decide on now."""
    for path, request in state.requests.items():
        if request.number and request.closed is None and not request.released and wanted(plan, state, path):
            yield path, request


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
