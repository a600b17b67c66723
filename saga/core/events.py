"""What is recorded: a saga's history is a list of commits, each the events of one decision. Append only.

Fields are never renamed or removed once released; a new field has a default. Golden copies of every event of every
release are kept under `tests/compatibility`.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from saga.core.messages import Kind, Outcome, ReplyEffect


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """A fact. `at` is the decision's time, by the store's clock."""

    at: datetime


class SagaStarted(Event, frozen=True, kw_only=True, tag="SagaStarted", omit_defaults=True):
    """A start was accepted: what is to be done, for whom, and by which definition."""

    saga: str
    name: str
    start_key: str
    definition: str
    definition_version: int
    input: msgspec.Raw
    root: str
    deadline_at: datetime
    parent: str | None = None
    tags: dict[str, str] = {}
    requester: str | None = None
    by: str | None = None
    actor: str | None = None
    message_id: str = ""
    reply_to: str = ""
    traceparent: str | None = None
    """The caller's trace: linked, not adopted."""
    untraced: bool = False
    """Not sampled: decided once, for every span of the trace."""


class ArmChosen(Event, frozen=True, kw_only=True, tag="ArmChosen", omit_defaults=True):
    """A condition was evaluated, once."""

    path: str
    taken: bool


class CommandIssued(Event, frozen=True, kw_only=True, tag="CommandIssued", omit_defaults=True):
    """A new execution: its body is fixed, attempt 1 is on its way."""

    path: str
    kind: Kind
    execution: int
    body: msgspec.Raw
    due_at: datetime
    """When this attempt counts as unanswered, provided it was dispatched."""
    within_at: datetime | None = None
    """When the whole execution has had its time."""
    undoes: int | None = None
    """The action's execution that this compensation undoes."""
    undoes_outcome: str | None = None


class AttemptEnded(Event, frozen=True, kw_only=True, tag="AttemptEnded", omit_defaults=True):
    """An attempt brought no answer that settles: the next one is due at `next_at`. The outcome stays unknown."""

    path: str
    kind: Kind
    execution: int
    attempt: int
    why: str
    """`timeout`, or the code of the `retry` or `refused` answer."""
    next_at: datetime
    message: str = ""
    counted: bool = True
    """False for answers that are no attempt: busy, unknown-command."""
    within_at: datetime | None = None
    """A new end of the execution's time: waiting for a deploy does not use it up."""


class CommandRepeated(Event, frozen=True, kw_only=True, tag="CommandRepeated", omit_defaults=True):
    """The next attempt of an execution: the same body under the same key."""

    path: str
    kind: Kind
    execution: int
    attempt: int
    due_at: datetime
    within_at: datetime | None = None
    fresh_budget: bool = False
    """An operator's retry begins counting anew."""
    undoes_outcome: str | None = None
    """Of a compensation, once the action's outcome became known: key and body stay, what the engine knows does not."""


class DispatchDelayed(Event, frozen=True, kw_only=True, tag="DispatchDelayed", omit_defaults=True):
    """An attempt has not reached a queue: its clock stops until it does."""

    path: str
    kind: Kind
    execution: int
    attempt: int
    why: str


class DispatchConfirmed(Event, frozen=True, kw_only=True, tag="DispatchConfirmed", omit_defaults=True):
    """A delayed attempt has reached its queue: its clock runs from here."""

    path: str
    kind: Kind
    execution: int
    attempt: int
    due_at: datetime
    within_at: datetime | None = None


class StepSucceeded(Event, frozen=True, kw_only=True, tag="StepSucceeded", omit_defaults=True):
    """The step is done; `reply` is what later steps read."""

    path: str
    execution: int
    reply: msgspec.Raw
    effect: ReplyEffect = ReplyEffect.APPLIED
    attempt: int = 0
    """Which attempt answered; 0 when an operator said so."""
    handler_ms: int | None = None
    actor: str | None = None
    evidence: str | None = None


class StepFailed(Event, frozen=True, kw_only=True, tag="StepFailed", omit_defaults=True):
    """A declared refusal, definite: this execution did not happen and never will."""

    path: str
    execution: int
    code: str
    message: str = ""
    failure: msgspec.Raw = msgspec.Raw(b"null")
    attempt: int = 0
    handler_ms: int | None = None
    actor: str | None = None
    evidence: str | None = None


class StepExhausted(Event, frozen=True, kw_only=True, tag="StepExhausted", omit_defaults=True):
    """Attempts or time are used up and the definition says to give way; the outcome stays unknown."""

    path: str
    execution: int
    why: str


class CompensationSucceeded(Event, frozen=True, kw_only=True, tag="CompensationSucceeded", omit_defaults=True):
    """The step is undone, or there was nothing to undo (effect `none`)."""

    path: str
    execution: int
    effect: ReplyEffect = ReplyEffect.APPLIED
    attempt: int = 0
    handler_ms: int | None = None
    actor: str | None = None
    evidence: str | None = None


class CompensationFailed(Event, frozen=True, kw_only=True, tag="CompensationFailed", omit_defaults=True):
    """The participant declared that it will not undo under this key; the step parks."""

    path: str
    execution: int
    code: str
    message: str = ""
    failure: msgspec.Raw = msgspec.Raw(b"null")


class ParkCode(StrEnum):
    """Why a step stands in front of an operator."""

    EXHAUSTED = "exhausted"
    IN_DOUBT = "in-doubt"
    ACTION_IN_DOUBT = "action-in-doubt"
    """An undo was refused because its service cannot tell whether the action happened. Copies of it may still run."""
    KEY_REUSED = "key-reused"
    INVALID_PAYLOAD = "invalid-payload"
    TOO_LARGE = "too-large"
    CANCELLED = "cancelled"
    KEY_FORGOTTEN = "key-forgotten"
    """The key is older than the participant promises to remember it."""
    FAILED_AFTER_PIVOT = "failed-after-pivot"
    COMPENSATION_FAILED = "compensation-failed"
    EFFECT_MISSING = "effect-missing"
    """The undo of a step that answered ok found nothing to undo."""
    READS_MISMATCH = "reads-mismatch"
    EVALUATION = "evaluation"
    HISTORY_LIMIT = "history-limit"


class StepParked(Event, frozen=True, kw_only=True, tag="StepParked", omit_defaults=True):
    """The step waits for a person; its siblings go on."""

    path: str
    kind: Kind
    code: ParkCode
    text: str


class StepReleased(Event, frozen=True, kw_only=True, tag="StepReleased", omit_defaults=True):
    """An operator moved a parked step."""

    path: str
    kind: Kind
    verdict: str
    actor: str
    reason: str
    evidence: str = ""


class BlockFailed(Event, frozen=True, kw_only=True, tag="BlockFailed", omit_defaults=True):
    """An attempt block gave up: what it did is undone, then the other way is taken."""

    path: str
    step: str
    code: str


class BlockUndone(Event, frozen=True, kw_only=True, tag="BlockUndone", omit_defaults=True):
    """Everything an attempt block did is undone; its otherwise part begins."""

    path: str


class CompensationStarted(Event, frozen=True, kw_only=True, tag="CompensationStarted", omit_defaults=True):
    """From here the saga only undoes."""

    because: str
    """`failed`, `exhausted`, `cancelled`, `deadline`, `operator`."""
    path: str = ""
    code: str = ""
    message: str = ""


class CancelRequested(Event, frozen=True, kw_only=True, tag="CancelRequested", omit_defaults=True):
    """Somebody wants the saga undone; the first such wish counts."""

    request: str
    by: str
    reason: str
    takes_effect: str
    """`now`, `if-pivot-fails`, `too-late`."""
    actor: str | None = None


class DeadlinePassed(Event, frozen=True, kw_only=True, tag="DeadlinePassed", omit_defaults=True):
    """The saga's own deadline; before the pivot is issued it compensates, afterwards it is a visible wait reason."""


class SagaPaused(Event, frozen=True, kw_only=True, tag="SagaPaused", omit_defaults=True):
    """From here nothing is issued, and deadlines stand still."""

    actor: str
    reason: str


class SagaResumed(Event, frozen=True, kw_only=True, tag="SagaResumed", omit_defaults=True):
    """The pause is over: open deadlines moved by its length."""

    actor: str
    reason: str


class LateReply(Event, frozen=True, kw_only=True, tag="LateReply", omit_defaults=True):
    """An answer that can change nothing any more; recorded once an execution."""

    path: str
    kind: Kind
    execution: int
    outcome: Outcome
    effect: ReplyEffect = ReplyEffect.NONE
    code: str = ""


class ContradictoryReply(Event, frozen=True, kw_only=True, tag="ContradictoryReply", omit_defaults=True):
    """A definite answer against an earlier definite answer: the participant broke its contract. Recorded once."""

    path: str
    kind: Kind
    execution: int
    outcome: Outcome
    effect: ReplyEffect = ReplyEffect.NONE
    code: str = ""


class SagaCompleted(Event, frozen=True, kw_only=True, tag="SagaCompleted", omit_defaults=True):
    """Every step is done."""

    output: msgspec.Raw


class SagaCompensated(Event, frozen=True, kw_only=True, tag="SagaCompensated", omit_defaults=True):
    """Every applied or possibly applied step is undone; also when nothing had to be."""


class SagaAbandoned(Event, frozen=True, kw_only=True, tag="SagaAbandoned", omit_defaults=True):
    """An operator closed the saga as it was: nothing more is done or undone."""

    actor: str
    reason: str
    unresolved: tuple[str, ...] = ()
    """Steps whose effects stand or may stand."""


AnyEvent = (
    SagaStarted
    | ArmChosen
    | CommandIssued
    | AttemptEnded
    | CommandRepeated
    | DispatchDelayed
    | DispatchConfirmed
    | StepSucceeded
    | StepFailed
    | StepExhausted
    | CompensationSucceeded
    | CompensationFailed
    | StepParked
    | StepReleased
    | BlockFailed
    | BlockUndone
    | CompensationStarted
    | CancelRequested
    | DeadlinePassed
    | SagaPaused
    | SagaResumed
    | LateReply
    | ContradictoryReply
    | SagaCompleted
    | SagaCompensated
    | SagaAbandoned
)

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(tuple[AnyEvent, ...])


def encode(events: tuple[AnyEvent, ...]) -> bytes:
    """The bytes of one commit."""
    return _ENCODER.encode(events)


def decode(data: bytes) -> tuple[AnyEvent, ...]:
    """The events of one commit. Raises msgspec.ValidationError for bytes this release did not write."""
    return _DECODER.decode(data)
