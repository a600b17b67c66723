"""What may happen to a saga: the only ways into `decide`. Time and identity arrive as data."""

from datetime import datetime
from enum import StrEnum

import msgspec

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
    """It did not happen; needs evidence. Going forward it is done again, in compensation it is passed over."""
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


Input = Start | Reply | Tick | Undelivered | Delivered | Cancel | Abandon | Pause | Resume | Resolve
