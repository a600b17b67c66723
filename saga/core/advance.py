"""`advance`: what follows from the state alone. Walks the tree to where the saga stands and takes the next step.

Called until nothing follows any more; each call sees the state after the events of the one before. A walk goes on where
it stands until nothing more follows there, so that a thousand items cost one walk and not a thousand.
"""

from datetime import datetime
from functools import reduce

import msgspec

from saga.core import events as e
from saga.core.address import TOP, template
from saga.core.blocks import Approval, Step
from saga.core.compensation import next_undo
from saga.core.evaluation import render
from saga.core.evolve import evolve
from saga.core.expression import EvaluationError
from saga.core.limits import OUTPUT_BYTES_MAX
from saga.core.messages import Kind
from saga.core.plan import Plan, pivot_passed, pivot_undecided
from saga.core.progress import Done, Failing
from saga.core.sources import sources
from saga.core.state import Phase, SagaState
from saga.core.walk import Walker, park

OUTPUT = "output"
"""Path under which a saga parks whose output cannot be built."""


def advance(plan: Plan, state: SagaState, now: datetime) -> tuple[tuple[e.AnyEvent, ...], SagaState]:
    """The next events that follow from the state, and where they lead; () when the saga waits or has ended."""
    if state.terminal or state.paused_at is not None:
        return (), state
    if state.phase is Phase.COMPENSATING:
        undo = next_undo(state, plan.definition.blocks, TOP, now)
        return _recorded(state, (e.SagaCompensated(at=now),) if undo is None else undo)
    stop = _stop_requested(plan, state, now)
    if stop is not None:
        return _recorded(state, (stop,))
    walker = Walker(plan, state, now)
    progress = walker.sequence(plan.definition.blocks, TOP)
    if walker.recorded:
        return tuple(walker.recorded), walker.state
    match progress:
        case Done():
            return _recorded(state, _complete(plan, state, now))
        case Failing() as failing:
            return _recorded(state, (_give_up(plan, state, failing, now),))
        case _:
            return (), state


def _recorded(state: SagaState, events: tuple[e.AnyEvent, ...]) -> tuple[tuple[e.AnyEvent, ...], SagaState]:
    return events, reduce(evolve, events, state)


def _stop_requested(plan: Plan, state: SagaState, now: datetime) -> e.AnyEvent | None:
    """A cancel or a passed deadline compensates, unless the pivot is undecided (it waits) or passed (too late)."""
    if not stop_is_due(plan, state) or pivot_undecided(plan, state):
        return None
    if state.cancel is not None and state.cancel_counts:
        return e.CompensationStarted(at=now, because="cancelled", message="cancelled")
    return e.CompensationStarted(at=now, because="deadline", message="the saga's deadline passed")


def stop_is_due(plan: Plan, state: SagaState) -> bool:
    """A cancel or the deadline takes effect now, or as soon as the pivot turns out to have failed."""
    wanted = (state.cancel is not None and state.cancel_counts) or state.deadline_passed
    return wanted and not pivot_passed(plan, state)


def _give_up(plan: Plan, state: SagaState, failing: Failing, now: datetime) -> e.AnyEvent:
    if pivot_passed(plan, state):
        block = plan.blocks[template(failing.path)]
        answered = "answered" if isinstance(block, Step) else "ended with"
        text = f"{failing.path} {answered} {failing.code} after the pivot: {failing.message}".rstrip(": ")
        code = e.ParkCode.FAILED_AFTER_PIVOT
        if not isinstance(block, Step):
            code = e.ParkCode.REJECTED if isinstance(block, Approval) else e.ParkCode.LATE
        return park(failing.path, code, text, now)
    return e.CompensationStarted(
        at=now, because=failing.because, path=failing.path, code=failing.code, message=failing.message
    )


def _complete(plan: Plan, state: SagaState, now: datetime) -> tuple[e.AnyEvent, ...]:
    if OUTPUT in state.parked:
        return ()
    if state.asked_by is not None and state.asked_by.kind is Kind.COMPENSATION:
        # The parent waited for the end of this saga in order to undo it.
        return (e.CompensationStarted(at=now, because="parent", message="undone with its parent"),)
    try:
        output = render(plan.definition.output, sources(state))
    except EvaluationError as error:
        return (park(OUTPUT, e.ParkCode.EVALUATION, f"the output cannot be built: {error}", now),)
    if len(output) > OUTPUT_BYTES_MAX:
        text = f"the output would have {len(output)} bytes, at most {OUTPUT_BYTES_MAX} reach the caller"
        return (park(OUTPUT, e.ParkCode.TOO_LARGE, text, now),)
    return (e.SagaCompleted(at=now, output=msgspec.Raw(output)),)
