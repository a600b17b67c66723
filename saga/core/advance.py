"""`advance`: what follows from the state alone. Walks the tree to where the saga stands and takes the next step.

Called until nothing follows any more; each call sees the state after the events of the one before.
"""

from datetime import datetime
from typing import assert_never

import msgspec

from saga.core import events as e
from saga.core.bounds import EVENTS_MAX, RECORDED_BYTES_MAX
from saga.core.compensation import next_undo, sources
from saga.core.definition import Attempt, Block, Step, When, steps_of
from saga.core.evaluation import holds, render
from saga.core.expression import EvaluationError
from saga.core.limits import BODY_BYTES_MAX, OUTPUT_BYTES_MAX
from saga.core.messages import Kind, Outcome
from saga.core.plan import Plan, pivot_passed, pivot_undecided
from saga.core.state import BlockMode, Phase, SagaState

OUTPUT = "output"
"""Path under which a saga parks whose output cannot be built."""


class Done(msgspec.Struct, frozen=True):
    """This sequence is through."""


class Blocked(msgspec.Struct, frozen=True):
    """Something is under way, or waits for a person."""


class Failing(msgspec.Struct, frozen=True):
    """A step gave up; an enclosing attempt block may take another way."""

    path: str
    because: str
    code: str
    message: str


class Emit(msgspec.Struct, frozen=True):
    """What happens next."""

    events: tuple[e.AnyEvent, ...]


Progress = Done | Blocked | Failing | Emit
DONE = Done()
BLOCKED = Blocked()


def advance(plan: Plan, state: SagaState, now: datetime) -> tuple[e.AnyEvent, ...]:
    """The next events that follow from the state; () when the saga waits or has ended."""
    if state.terminal or state.paused_at is not None:
        return ()
    if state.phase is Phase.COMPENSATING:
        undo = next_undo(state, plan.steps.values(), now)
        return (e.SagaCompensated(at=now),) if undo is None else undo
    stop = _stop_requested(plan, state, now)
    if stop is not None:
        return (stop,)
    match _walk(plan, state, plan.definition.blocks, now):
        case Done():
            return _complete(plan, state, now)
        case Blocked():
            return ()
        case Emit(events):
            return events
        case Failing() as failing:
            return (_give_up(plan, state, failing, now),)


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
        text = f"{failing.path} answered {failing.code} after the pivot: {failing.message}".rstrip(": ")
        code = e.ParkCode.FAILED_AFTER_PIVOT
        return e.StepParked(at=now, path=failing.path, kind=Kind.ACTION, code=code, text=text)
    return e.CompensationStarted(
        at=now, because=failing.because, path=failing.path, code=failing.code, message=failing.message
    )


def _complete(plan: Plan, state: SagaState, now: datetime) -> tuple[e.AnyEvent, ...]:
    if OUTPUT in state.parked:
        return ()
    try:
        output = render(plan.definition.output, sources(state))
    except EvaluationError as error:
        return (_park(OUTPUT, e.ParkCode.EVALUATION, f"the output cannot be built: {error}", now),)
    if len(output) > OUTPUT_BYTES_MAX:
        text = f"the output would have {len(output)} bytes, at most {OUTPUT_BYTES_MAX} reach the caller"
        return (_park(OUTPUT, e.ParkCode.TOO_LARGE, text, now),)
    return (e.SagaCompleted(at=now, output=msgspec.Raw(output)),)


def _walk(plan: Plan, state: SagaState, blocks: tuple[Block, ...], now: datetime) -> Progress:
    for block in blocks:
        match block:
            case Step():
                progress = _step(state, block, now)
            case When():
                progress = _when(plan, state, block, now)
            case Attempt():
                progress = _attempt(plan, state, block, now)
            case _:
                assert_never(block)
        if not isinstance(progress, Done):
            return progress
    return DONE


def _step(state: SagaState, step: Step, now: datetime) -> Progress:
    if step.path in state.parked:
        return BLOCKED
    current = state.steps.get(step.path)
    if current is None:
        return Emit((issue(state, step, 1, now),))
    match current.action.outcome:
        case Outcome.OK:
            return DONE
        case Outcome.FAILED:
            return Failing(step.path, "failed", current.action.code, "")
        case _ if current.action.exhausted:
            return Failing(step.path, "exhausted", "exhausted", current.action.why)
        case _:
            return BLOCKED


def _when(plan: Plan, state: SagaState, block: When, now: datetime) -> Progress:
    if block.path in state.parked:
        return BLOCKED
    taken = state.arms.get(block.path)
    if taken is not None:
        return _walk(plan, state, block.then if taken else block.otherwise, now)
    try:
        taken = holds(block.condition, sources(state))
    except EvaluationError as error:
        return Emit((_park(block.path, e.ParkCode.EVALUATION, f"the condition cannot be decided: {error}", now),))
    return Emit((e.ArmChosen(at=now, path=block.path, taken=taken),))


def _attempt(plan: Plan, state: SagaState, block: Attempt, now: datetime) -> Progress:
    mode = state.blocks.get(block.path)
    if mode is BlockMode.OTHERWISE:
        return _walk(plan, state, block.otherwise, now)
    if mode is BlockMode.UNDOING:
        undo = next_undo(state, steps_of(block.body), now)
        if undo is None:
            return Emit((e.BlockUndone(at=now, path=block.path),))
        return Emit(undo) if undo else BLOCKED
    progress = _walk(plan, state, block.body, now)
    if isinstance(progress, Failing) and progress.code in block.on:
        return Emit((e.BlockFailed(at=now, path=block.path, step=progress.path, code=progress.code),))
    return progress


def issue(state: SagaState, step: Step, number: int, now: datetime) -> e.AnyEvent:
    """A new execution of a step's action, or why it parks instead."""
    if state.events_count >= EVENTS_MAX or state.recorded_bytes >= RECORDED_BYTES_MAX:
        text = f"{state.events_count} events and {state.recorded_bytes} bytes recorded: no further step is begun"
        return _park(step.path, e.ParkCode.HISTORY_LIMIT, text, now)
    try:
        body = render(step.command.body, sources(state))
    except EvaluationError as error:
        return _park(step.path, e.ParkCode.EVALUATION, f"its command cannot be built: {error}", now)
    if len(body) > BODY_BYTES_MAX:
        text = f"its command would have {len(body)} bytes, at most {BODY_BYTES_MAX}"
        return _park(step.path, e.ParkCode.TOO_LARGE, text, now)
    return e.CommandIssued(
        at=now,
        path=step.path,
        kind=Kind.ACTION,
        execution=number,
        body=msgspec.Raw(body),
        due_at=now + step.timeout,
        within_at=None if step.within is None else now + step.within,
    )


def _park(path: str, code: e.ParkCode, text: str, now: datetime) -> e.AnyEvent:
    return e.StepParked(at=now, path=path, kind=Kind.ACTION, code=code, text=text)
