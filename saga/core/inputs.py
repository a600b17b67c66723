"""What may happen to a saga: the only ways into `decide`. Time and identity arrive as data."""

from datetime import datetime
from enum import StrEnum

import msgspec

from saga.core.events import Choice
from saga.core.messages import Kind, ReplyMessage


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Begin: valid only where there is no saga yet."""

    now: datetime
    saga: str
    name: str
    start_key: str
    definition: str
    """Hash."""
    input: bytes
    message_id: str = ""
    reply_to: str = ""
    by: str | None = None
    """The broker user who asked, or None."""
    actor: str | None = None
    """The person a gateway vouches for."""
    traceparent: str | None = None
    untraced: bool = False
    parent: "ParentOf | None" = None
    tombstone: bool = False
    """The parent undoes what never began: this saga ends at once, so that its start finds it ended."""


class ParentOf(msgspec.Struct, frozen=True, kw_only=True):
    """The parent's step that asks for a child."""

    saga: str
    root: str
    path: str
    kind: Kind
    execution: int
    attempt: int
    depth: int = 1
    """Of the child: sagas above it."""
    requester: str | None = None
    """Who asked for the parent."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's answer, screened: its sender, key and execution are those of a command of this saga."""

    now: datetime
    message: ReplyMessage


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """Time passed. Nothing issued in a commit after `dispatched_version` is known to have reached the broker."""

    now: datetime
    dispatched_version: int


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """The broker returned an attempt: no queue took it."""

    now: datetime
    path: str
    kind: Kind
    execution: int
    attempt: int
    detail: str


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The broker confirmed an attempt that was late or returned before."""

    now: datetime
    path: str
    kind: Kind
    execution: int
    attempt: int


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Compensate what was done and end; before the pivot only."""

    now: datetime
    request: str
    """Message id or operator request id: the same again changes nothing."""
    by: str
    """Broker user or `operator`."""
    actor: str | None
    reason: str


class Abandon(msgspec.Struct, frozen=True, kw_only=True):
    """Close now; effects that stand are listed, nothing is undone."""

    now: datetime
    actor: str
    reason: str


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Issue nothing and stop every deadline until resumed; what arrives is recorded."""

    now: datetime
    actor: str
    reason: str


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    """End a pause: open deadlines move by its length."""

    now: datetime
    actor: str
    reason: str


class Verdict(StrEnum):
    """What an operator says of a parked step."""

    RETRY = "retry"
    """Send it again: the same execution if its outcome is unknown, the next one if it was settled."""
    APPLIED = "applied"
    """It happened; needs evidence, and the reply if later steps read it."""
    NOT_APPLIED = "not-applied"
    """It did not happen; needs evidence. An action is done again going forward, and is nothing to undo in compensation;
    an undo is carried out again, under a new key."""
    UNDO = "undo"
    """Not known, undo it anyway; going forward this compensates the saga."""


class Resolve(msgspec.Struct, frozen=True, kw_only=True):
    """An operator moves a parked step."""

    now: datetime
    path: str
    verdict: Verdict
    actor: str
    reason: str
    evidence: str = ""
    reply: bytes | None = None


class SignalGiven(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody outside says something to the saga."""

    now: datetime
    signal: str
    message_id: str
    """The same again changes nothing."""
    body: bytes
    by: str | None = None
    actor: str | None = None


class DecisionGiven(msgspec.Struct, frozen=True, kw_only=True):
    """A person decides on a request for approval."""

    now: datetime
    path: str
    choice: Choice
    approver: str
    """Who decides, as `by` vouches."""
    by: str
    """A broker user configured as gateway, or `operator`."""
    roles: frozenset[str]
    """The approver's, as the settings say."""
    request: str
    """Id of the message: the same again changes nothing."""
    digest: str
    """Of the subject the approver saw."""
    reason: str = ""
    edited: bytes | None = None
    """The subject as the approver wants it."""
    number: int | None = None
    """Of the request the approver saw; None: the one that is open."""


class ParentAsks(msgspec.Struct, frozen=True, kw_only=True):
    """The parent sent its command again, or undoes this saga as one unit (`kind` compensation)."""

    now: datetime
    path: str
    kind: Kind
    execution: int
    attempt: int
    traceparent: str | None = None
    wait: bool = False
    """Of a compensation: let a running saga end by itself, then undo it."""


class Refusal(msgspec.Struct, frozen=True):
    """Why something that was asked is not done, for whoever asked."""

    code: str
    text: str


Input = (
    Start
    | Reply
    | Tick
    | Undelivered
    | Delivered
    | Cancel
    | Abandon
    | Pause
    | Resume
    | Resolve
    | SignalGiven
    | DecisionGiven
    | ParentAsks
)
