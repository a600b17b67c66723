"""Approvals as evidence: what was to be decided, who decided, and the permit that was used."""

from datetime import datetime
from enum import StrEnum

import msgspec

from saga.core.events.recorded import Event
from saga.core.messages import Choice


class Closed(StrEnum):
    """How a request ended."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class ApprovalRequested(Event, frozen=True, kw_only=True, tag="ApprovalRequested", omit_defaults=True):
    """A decision is asked for: about exactly these bytes."""

    path: str
    number: int
    """Of the requests at this path, from 1."""
    subject: msgspec.Raw
    """What is to be decided on."""
    digest: str
    """Hex SHA-256 of the subject."""
    roles: tuple[str, ...]
    """Who may decide: anybody with one of them."""
    quorum: int = 1
    """How many people must approve."""
    summary: str = ""
    """What it is about, for people."""
    requester: str | None = None
    """Who may not decide, where the definition says so."""
    expires_at: datetime | None = None
    """When the time to decide is up."""
    remind_at: datetime | None = None
    """When those who may decide are told again."""


class ApprovalWaived(Event, frozen=True, kw_only=True, tag="ApprovalWaived", omit_defaults=True):
    """The condition under which somebody must decide does not hold."""

    path: str
    subject: msgspec.Raw
    """What is to be decided on."""


class ApprovalDecided(Event, frozen=True, kw_only=True, tag="ApprovalDecided", omit_defaults=True):
    """One person's decision; the first of each person counts."""

    path: str
    number: int
    """Of the request."""
    choice: Choice
    """`approve` or `reject`."""
    approver: str
    """Who decided."""
    by: str
    """Who vouches for the approver: a broker user, or `operator`."""
    digest: str
    """Of the subject the approver saw."""
    request: str
    """Id of the deciding message: the same again changes nothing."""
    reason: str = ""
    roles: tuple[str, ...] = ()
    """Those of the approver that counted."""
    edited: msgspec.Raw = msgspec.Raw(b"null")
    """The subject as the approver changed it, if they did: from here this is what is decided on."""


class ApprovalClosed(Event, frozen=True, kw_only=True, tag="ApprovalClosed", omit_defaults=True):
    """The request is decided, or its time is up."""

    path: str
    number: int
    """Of the request."""
    how: Closed
    """`approved`, `rejected` or `expired`."""


class ApprovalEscalated(Event, frozen=True, kw_only=True, tag="ApprovalEscalated", omit_defaults=True):
    """Nobody decided in time: others are asked as well."""

    path: str
    number: int
    """Of the request."""
    roles: tuple[str, ...]
    """Who may decide from here on."""
    expires_at: datetime
    """When their time is up."""


class ApprovalReminded(Event, frozen=True, kw_only=True, tag="ApprovalReminded", omit_defaults=True):
    """Nobody decided yet: those who may are to be told again."""

    path: str
    number: int
    """Of the request."""
    next_at: datetime
    """When they are told again."""


class PermitUsed(Event, frozen=True, kw_only=True, tag="PermitUsed", omit_defaults=True):
    """The approval is spent: by this execution of the step it guards, and by no other."""

    path: str
    number: int
    """Of the request."""
    step: str
    """The step that is sent."""
    execution: int
    digest: str
    """Hex SHA-256 of what was approved, and is sent."""
