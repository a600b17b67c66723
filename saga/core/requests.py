"""What events say of requests for approval. Part of `saga.core.evolve`."""

from datetime import datetime

import msgspec

from saga.core import events as e
from saga.core.approvals import digest_of
from saga.core.expression import JSON_NULL
from saga.core.state import Decided, Order, Request, SagaState

replace = msgspec.structs.replace

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
            state = replace(state, decision_ids=state.decision_ids | {event.request})
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
