"""What crosses the wire, as values; `saga.wire` turns them into AMQP properties and headers and back."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from saga.cost import Cost


class Kind(StrEnum):
    """Whether a command does or undoes."""

    ACTION = "action"
    COMPENSATION = "compensation"


class Outcome(StrEnum):
    """A participant's answer."""

    OK = "ok"
    FAILED = "failed"
    RETRY = "retry"
    REFUSED = "refused"


class ReplyEffect(StrEnum):
    """What the delivery did: `none` for an undo that found nothing to undo, and for everything without an effect."""

    APPLIED = "applied"
    REPLAYED = "replayed"
    NONE = "none"


class RefusedCode(StrEnum):
    """Why this delivery was refused; it settles nothing."""

    EXPIRED = "expired"
    CANCELLED = "cancelled"
    KEY_REUSED = "key-reused"
    INVALID_PAYLOAD = "invalid-payload"
    UNKNOWN_COMMAND = "unknown-command"
    IN_DOUBT = "in-doubt"
    TOO_LARGE = "too-large"


BUSY = "busy"
"""Code of a `retry` that is no attempt: the same key is being worked on elsewhere."""


class CommandMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one execution, on its way to a participant."""

    saga: str
    saga_name: str
    saga_version: int
    """Of the definition."""
    business_key: str
    """What the start named, without its prefix."""
    path: str
    kind: Kind
    execution: int
    attempt: int
    service: str
    command: str
    """Name without service and version: `ChargeCard`."""
    command_version: int
    message_id: str
    key: str
    """Idempotency key: 32 hex characters, of the execution."""
    body: bytes
    undoes: str | None = None
    """Idempotency key of the action a compensation undoes."""
    undoes_outcome: str | None = None
    """`ok` or `unknown`."""
    expires_at: datetime | None = None
    """Only on actions."""
    traceparent: str | None = None
    tracestate: str | None = None

    @property
    def type_name(self) -> str:
        return f"{self.service}.{self.command}.v{self.command_version}"


class ReplyMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's answer to one attempt. Everything but the answer itself is echoed from the command."""

    saga: str
    path: str
    kind: Kind
    execution: int
    attempt: int
    key: str
    in_reply_to: str
    """Attempt id."""
    service: str
    """From the routing key, which the broker checked against the sender's rights."""
    outcome: Outcome
    effect: ReplyEffect
    type: str
    """Type name of the body, e.g. `payments.CardCharged.v1`."""
    body: bytes
    code: str = ""
    message: str = ""
    retry_after: timedelta | None = None
    handler_time: timedelta | None = None
    cost: Cost | None = None
    """None: it told none; empty: one that cannot be read, which is no reason to lose the answer."""
    sender: str | None = None
    traceparent: str | None = None


class StartMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a saga."""

    name: str
    version: int | None
    start_key: str
    """`k:` + business key, or `m:` + message id."""
    input: bytes
    message_id: str
    reply_to: str = ""
    sender: str | None = None
    actor: str | None = None
    """Believed only from gateways."""
    traceparent: str | None = None


class ToSaga(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller says to one saga that is there."""

    saga: str | None
    name: str | None
    """Of the definition; with `business_key`, when the saga id is not known."""
    business_key: str | None
    message_id: str
    """The same again changes nothing."""
    reply_to: str = ""
    sender: str | None = None
    actor: str | None = None
    """Believed only from gateways."""


class CancelMessage(ToSaga, frozen=True, kw_only=True):
    """Asks for cancel with compensation."""

    reason: str


class SignalMessage(ToSaga, frozen=True, kw_only=True):
    """Something a saga waits for, or will. `name` is the routing key, which the broker checked against rights."""

    signal: str
    body: bytes


class Choice(StrEnum):
    """What a person said to a request for approval."""

    APPROVE = "approve"
    REJECT = "reject"


class DecideMessage(ToSaga, frozen=True, kw_only=True):
    """A person's decision on a request for approval; `actor` is the person, for whom a gateway vouches."""

    path: str
    choice: Choice
    digest: str
    """Of the subject that was looked at."""
    number: int | None = None
    """Of the request that was looked at; None: the one that is open."""
    reason: str = ""
    edited: bytes | None = None
    """The subject as the approver wants it."""


class ResultKind(StrEnum):
    """What a caller hears on `saga.results`."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    ENDED = "ended"


class ResultMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a caller's start, signal or control message."""

    kind: ResultKind
    reply_to: str
    in_reply_to: str
    """The caller's message id."""
    saga: str = ""
    existing: bool = False
    """On `accepted`: the saga was there before."""
    code: str = ""
    reason: str = ""
    status: str = ""
    """On `ended`."""
    output: bytes = b""
    """On `ended`: the definition's output as JSON; empty unless completed."""
