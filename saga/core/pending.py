"""Requests for approval as people and programs look at them."""

from datetime import datetime

import msgspec

from saga.core.address import template
from saga.core.approvals import waiting
from saga.core.blocks import Approval
from saga.core.plan import Plan
from saga.core.state import Request, SagaState


class DecisionDetail(msgspec.Struct, frozen=True):
    """What somebody said."""

    approver: str
    decision: str
    """`approve` or `reject`."""
    at: datetime
    digest: str
    """Of the subject they looked at."""
    reason: str


class ApprovalDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One request, for people and as stable JSON."""

    root: str
    """The saga that nobody started as a sub-saga."""
    place: str
    """From the root: the steps that lead to the saga, and the path, with `/` between them."""
    saga: str
    path: str
    name: str
    key: str
    number: int
    state: str
    """`open`, `approved`, `rejected`, `expired`."""
    asked_at: datetime
    expires_at: datetime | None
    roles: tuple[str, ...]
    quorum: int
    requester: str | None
    """Who may not decide."""
    summary: str
    subject_type: str
    subject: msgspec.Raw
    digest: str
    editable: tuple[str, ...]
    decisions: tuple[DecisionDetail, ...]


def pending(plan: Plan, state: SagaState, steps: tuple[str, ...] = ()) -> list[ApprovalDetail]:
    """Requests of a saga that a person can decide on now; `steps` lead to it from its root."""
    return [_detail(plan, state, path, request, steps) for path, request in waiting(plan, state)]


def approval_at(plan: Plan, state: SagaState, path: str, steps: tuple[str, ...] = ()) -> ApprovalDetail | None:
    """The latest request at a path, open or not; None where none was made."""
    request = state.requests.get(path)
    return None if request is None or request.number == 0 else _detail(plan, state, path, request, steps)


def _detail(plan: Plan, state: SagaState, path: str, request: Request, steps: tuple[str, ...]) -> ApprovalDetail:
    block = plan.blocks[template(path)]
    approval = block if isinstance(block, Approval) else None
    return ApprovalDetail(
        root=state.root,
        place="/".join((*steps, path)),
        saga=state.saga,
        path=path,
        name=state.name,
        key=state.start_key[2:],
        number=request.number,
        state="open" if request.closed is None else str(request.closed),
        asked_at=request.opened_at,
        expires_at=request.expires_at,
        roles=request.roles,
        quorum=request.quorum,
        requester=request.requester,
        summary=request.summary,
        subject_type="" if approval is None else approval.subject_type,
        subject=msgspec.Raw(request.subject),
        digest=request.digest,
        editable=() if approval is None else approval.editable,
        decisions=tuple(
            DecisionDetail(each.approver, str(each.choice), each.at, each.digest, each.reason)
            for each in request.decisions
        ),
    )
