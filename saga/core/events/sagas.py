"""A saga begins, is stopped, paused, and ends."""

from datetime import datetime

import msgspec

from saga.core.events.recorded import Event
from saga.core.messages import Kind


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
    depth: int = 0
    """Sagas above it."""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    requester: str | None = None
    by: str | None = None
    actor: str | None = None
    message_id: str = ""
    reply_to: str = ""
    traceparent: str | None = None
    """The caller's trace: linked, not adopted."""
    untraced: bool = False
    """Not sampled: decided once, for every span of the trace."""


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
    tombstone: bool = False
    """A child that its parent undid before it began."""


class ParentAsked(Event, frozen=True, kw_only=True, tag="ParentAsked", omit_defaults=True):
    """The parent saga's step asks for this saga's end: its answer is due to this execution."""

    path: str
    """Of the step in the parent."""
    kind: Kind
    execution: int
    attempt: int
    traceparent: str | None = None
    """Of the attempt that asks, when this saga is to be undone: its undo is linked to it."""
