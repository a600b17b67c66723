"""Sub-sagas. The engine is a participant named `saga`: starting a child is a command, its end is the reply, and undoing
it is a compensation. So retries, duplicates, late answers, dispatch and traces are what they are for every step.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from saga.contract import ENGINE_SERVICE
from saga.core import events as e
from saga.core.inputs import ParentAsks
from saga.core.messages import Kind, Outcome, RefusedCode, ReplyEffect
from saga.core.state import ParentLink, Phase, SagaState

KEY = "c:"
"""First of a child's start key, before the idempotency key of its parent's step: no caller can take it first."""
SERVICE = ENGINE_SERVICE
"""The service that child commands go to: reserved."""
COMPENSATED = "compensated"
"""The one declared refusal of a child: it was undone by itself, so nothing of it stands."""
REMEMBERS = timedelta(days=36_500)
"""A store never forgets a saga."""

TIMEOUT = timedelta(days=1)
"""After which a child is asked again. It takes as long as it takes, nothing is used up and nothing is recorded: asking
again brings an answer that was lost, or a start, should a broker have lost everything."""


class OnRunning(StrEnum):
    """What the undo of a child does with one that has not ended; the body of the undo is `{"running": ...}`."""

    CANCEL = "cancel"
    """It is cancelled: it undoes what it did."""
    WAIT = "wait"
    """It goes on to its end, and is undone then."""


class Answer(msgspec.Struct, frozen=True):
    """How a child ended, for the execution of its parent's step that asked."""

    asked: ParentLink
    outcome: Outcome
    effect: ReplyEffect
    body: bytes = b"null"
    code: str = ""
    message: str = ""


def unanswered_since(state: SagaState, dispatched_version: int) -> datetime | None:
    """Since when the parent of a saga that has ended is owed an answer that nobody knows to be on the broker."""
    if state.ended_at is None or answer(state) is None or answer_version(state) <= dispatched_version:
        return None
    return state.ended_at


def answer_version(state: SagaState) -> int:
    """The commit that led to the answer: it ended then, or was asked anew."""
    return max(state.ended, 0 if state.asked_by is None else state.asked_by.asked[0])


def answer(state: SagaState) -> Answer | None:
    """What the parent is told; None while the child goes on, and for a saga without a parent."""
    asked = state.asked_by
    if asked is None or not state.terminal:
        return None
    undone = asked.kind is Kind.COMPENSATION
    match state.phase:
        case Phase.COMPLETED if not undone:
            return Answer(asked, Outcome.OK, ReplyEffect.APPLIED, state.output)
        case Phase.COMPENSATED if undone:
            return Answer(asked, Outcome.OK, ReplyEffect.APPLIED)
        case Phase.COMPENSATED:
            return Answer(asked, Outcome.FAILED, ReplyEffect.NONE, code=COMPENSATED, message=state.because)
        case Phase.ABANDONED if state.tombstone:
            if undone:
                return Answer(asked, Outcome.OK, ReplyEffect.NONE)
            text = "it was undone before it began"
            return Answer(asked, Outcome.REFUSED, ReplyEffect.NONE, code=RefusedCode.CANCELLED, message=text)
        case Phase.ABANDONED:
            text = f"saga {state.saga} was abandoned: {state.because}"
            return Answer(asked, Outcome.REFUSED, ReplyEffect.NONE, code=RefusedCode.IN_DOUBT, message=text)
        case _:
            return None  # completed, and asked to be undone: the next decision undoes it


def on_parent(state: SagaState, given: ParentAsks) -> tuple[e.AnyEvent, ...]:
    """Remember whom to answer; a compensation undoes this saga as one unit, running or completed."""
    asked = state.asked_by
    if state.parent is None or (asked is not None and not _is_newer(asked, given)):
        return ()
    heard = e.ParentAsked(
        at=given.now,
        path=given.path,
        kind=given.kind,
        execution=given.execution,
        attempt=given.attempt,
        traceparent=given.traceparent if given.kind is Kind.COMPENSATION else None,
    )
    if given.kind is Kind.ACTION or state.tombstone:
        return (heard,)
    if state.phase is Phase.COMPLETED:
        started = e.CompensationStarted(at=given.now, because="parent", message="undone with its parent")
        return (heard, started)
    if state.phase is Phase.RUNNING and not given.wait and state.cancel is None:
        cancel = e.CancelRequested(
            at=given.now,
            request=f"undo {given.execution} of {given.path}",
            by=SERVICE,
            reason="its parent is undone",
            takes_effect="now",
        )
        return (heard, cancel)
    return (heard,)


def _is_newer(asked: ParentLink, given: ParentAsks) -> bool:
    if asked.kind is not given.kind:
        return given.kind is Kind.COMPENSATION  # an action that arrives after its undo asks for nothing any more
    return (given.execution, given.attempt) > (asked.execution, asked.attempt)
