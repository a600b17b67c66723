"""A step is asked, answered, given up, parked and undone."""

from datetime import datetime
from enum import StrEnum

import msgspec

from saga.core.events.recorded import Costly, Event
from saga.core.messages import Kind, Outcome, ReplyEffect


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


class AttemptEnded(Costly, frozen=True, kw_only=True, tag="AttemptEnded", omit_defaults=True):
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


class StepSucceeded(Costly, frozen=True, kw_only=True, tag="StepSucceeded", omit_defaults=True):
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


class StepFailed(Costly, frozen=True, kw_only=True, tag="StepFailed", omit_defaults=True):
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


class StepExhausted(Costly, frozen=True, kw_only=True, tag="StepExhausted", omit_defaults=True):
    """Attempts or time are used up and the definition says to give way; the outcome stays unknown."""

    path: str
    execution: int
    why: str


class CompensationSucceeded(Costly, frozen=True, kw_only=True, tag="CompensationSucceeded", omit_defaults=True):
    """The step is undone, or there was nothing to undo (effect `none`)."""

    path: str
    execution: int
    effect: ReplyEffect = ReplyEffect.APPLIED
    attempt: int = 0
    handler_ms: int | None = None
    actor: str | None = None
    evidence: str | None = None


class CompensationFailed(Costly, frozen=True, kw_only=True, tag="CompensationFailed", omit_defaults=True):
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
    LATE = "late"
    """A signal did not come in time, or the time of a scope passed after the pivot."""
    ITEMS = "items"
    """The items of an `each` block are too many, no list, or not distinct."""
    REJECTED = "rejected"
    """An approval was refused, or not given in time, after the pivot."""
    HISTORY_LIMIT = "history-limit"


class StepParked(Costly, frozen=True, kw_only=True, tag="StepParked", omit_defaults=True):
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


class LateReply(Costly, frozen=True, kw_only=True, tag="LateReply", omit_defaults=True):
    """An answer that can change nothing any more; recorded once an execution."""

    path: str
    kind: Kind
    execution: int
    outcome: Outcome
    effect: ReplyEffect = ReplyEffect.NONE
    code: str = ""


class ContradictoryReply(Costly, frozen=True, kw_only=True, tag="ContradictoryReply", omit_defaults=True):
    """A definite answer against an earlier definite answer: the participant broke its contract. Recorded once."""

    path: str
    kind: Kind
    execution: int
    outcome: Outcome
    effect: ReplyEffect = ReplyEffect.NONE
    code: str = ""


Definite = StepSucceeded | StepFailed | CompensationSucceeded | CompensationFailed | LateReply | ContradictoryReply
"""What a definite answer leads to, also one that comes too late."""


def kind_of(event: Definite | AttemptEnded | StepExhausted | StepParked) -> Kind:
    """Whether the command that was answered does the step or undoes it."""
    match event:
        case StepSucceeded() | StepFailed() | StepExhausted():
            return Kind.ACTION
        case CompensationSucceeded() | CompensationFailed():
            return Kind.COMPENSATION
        case _:
            return event.kind
