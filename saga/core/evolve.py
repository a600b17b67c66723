"""`evolve`: one event more. Never decides, never refuses what is recorded."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

import msgspec

from saga.core import branches, executions, requests, waits
from saga.core import events as e
from saga.core.messages import Kind
from saga.core.state import BlockMode, Execution, Order, ParentLink, Phase, SagaState, Waiting
from saga.cost import Cost, added

replace = msgspec.structs.replace

_Phase = e.CompensationStarted | e.CancelRequested | e.DeadlinePassed
_End = e.SagaCompleted | e.SagaCompensated | e.SagaAbandoned
_Other = (
    _Phase
    | _End
    | e.SagaStarted
    | e.StepParked
    | e.StepReleased
    | e.ArmChosen
    | e.BlockFailed
    | e.BlockUndone
    | e.SagaPaused
    | e.SagaResumed
    | e.ParentAsked
)


def fold(commits: Iterable[tuple[e.AnyEvent, ...]]) -> SagaState:
    """The state after a whole history, oldest commit first. Raises ValueError for an empty or headless history."""
    state: SagaState | None = None
    for commit in commits:
        state = evolve_commit(state, commit)
    if state is None:
        raise ValueError("a saga without history has no state")
    return state


def evolve_commit(state: SagaState | None, commit: tuple[e.AnyEvent, ...]) -> SagaState:
    """The state after one more commit."""
    if state is not None:
        state = next_commit(state)
    for event in commit:
        state = begin(event) if state is None else evolve(state, event)
    if state is None:
        raise ValueError("an empty commit begins no saga")
    return state


def next_commit(state: SagaState) -> SagaState:
    """The same state, about to take the events of the next commit."""
    return replace(state, version=state.version + 1, index=0)


def evolve(state: SagaState, event: e.AnyEvent) -> SagaState:
    """The state after one more event of the current commit."""
    here = (state.version, state.index)
    state = replace(state, index=state.index + 1, events_count=state.events_count + 1)
    if isinstance(event, e.Costly) and event.cost is not None:
        state = _costlier(state, event, event.cost)
    if isinstance(event, executions.Sending):
        return executions.sent(state, event, here)
    if isinstance(event, executions.Answering):
        return executions.answered(state, event, here)
    if isinstance(event, waits.Waiting):
        return waits.evolved(state, event)
    if isinstance(event, branches.Branching):
        return branches.evolved(state, event)
    if isinstance(event, requests.Deciding):
        return requests.evolved(state, event, here)
    return _other(state, event, here)


def _costlier(state: SagaState, event: e.Costly, cost: Cost) -> SagaState:
    if isinstance(event, e.Definite):
        state = executions.told_cost(state, event)
    if not cost:
        return replace(state, costs_unreadable=state.costs_unreadable + 1)
    return replace(state, cost=added((state.cost, cost)))


def _other(state: SagaState, event: _Other, here: Order) -> SagaState:  # noqa: C901 - a closed match, one line a case
    match event:
        case e.SagaStarted():
            raise ValueError(f"{state.saga} is started twice")
        case e.StepParked():
            return executions.parked(state, event)
        case e.StepReleased():
            again = branches.begun_again(state, event.path)
            released = executions.unparked(again, event.path, event.kind)
            return requests.asked_again(waits.begun_again(released, event.path), event.path)
        case e.ArmChosen():
            return replace(state, arms={**state.arms, event.path: event.taken})
        case e.BlockFailed():
            failed = replace(state, blocks={**state.blocks, event.path: BlockMode.UNDOING})
            return executions.released(failed, event.released)
        case e.BlockUndone():
            return replace(state, blocks={**state.blocks, event.path: BlockMode.OTHERWISE})
        case e.SagaPaused():
            return replace(state, paused_at=event.at)
        case e.SagaResumed():
            return _resume(state, event)
        case e.ParentAsked():
            return replace(state, asked_by=_parent(state, event, here))
        case _:
            return _phase(state, event)


def begin(event: e.AnyEvent) -> SagaState:
    """The state after the very first event. Raises ValueError when that is not SagaStarted."""
    if not isinstance(event, e.SagaStarted):
        raise ValueError(f"a history begins with SagaStarted, not {type(event).__name__}")  # noqa: TRY004 - bad data
    return SagaState(
        saga=event.saga,
        name=event.name,
        start_key=event.start_key,
        definition=event.definition,
        definition_version=event.definition_version,
        root=event.root,
        input=bytes(event.input),
        started_at=event.at,
        deadline_at=event.deadline_at,
        tags=event.tags,
        message_id=event.message_id,
        reply_to=event.reply_to,
        untraced=event.untraced,
        requester=event.requester,
        parent=event.parent,
        depth=event.depth,
        index=1,
        events_count=1,
        recorded_bytes=len(bytes(event.input)),
    )


def _phase(state: SagaState, event: _Phase | _End) -> SagaState:
    match event:
        case e.CompensationStarted():
            # what stood in front of a person going forward is now simply unknown, and undone as such
            parked = {p: parked for p, parked in state.parked.items() if parked.kind is Kind.COMPENSATION}
            because = event.message or event.code or event.because
            return replace(
                state,
                phase=Phase.COMPENSATING,
                parked=parked,
                because=f"{event.path}: {because}" if event.path else because,
                because_code=event.code or event.because,
                compensating_at=event.at,
            )
        case e.CancelRequested():
            return replace(state, cancel=event.request, cancel_counts=event.takes_effect != "too-late")
        case e.DeadlinePassed():
            return replace(state, deadline_passed=True)
        case _:
            ended = replace(state, parked={}, paused_at=None, ended=state.version, ended_at=event.at)
            return _end(ended, event)


def _end(state: SagaState, event: _End) -> SagaState:
    match event:
        case e.SagaCompleted():
            return replace(state, phase=Phase.COMPLETED, output=bytes(event.output))
        case e.SagaCompensated():
            return replace(state, phase=Phase.COMPENSATED)
        case e.SagaAbandoned():
            return replace(state, phase=Phase.ABANDONED, because=event.reason, tombstone=event.tombstone)
        case _:
            assert_never(event)


def _resume(state: SagaState, event: e.SagaResumed) -> SagaState:
    """Every open deadline moves by the length of the pause."""
    paused_at = event.at if state.paused_at is None else state.paused_at
    steps = {
        path: replace(
            step,
            action=_moved(step.action, paused_at, event.at),
            undo=None if step.undo is None else _moved(step.undo, paused_at, event.at),
        )
        for path, step in state.steps.items()
    }
    pending = {path: waits.moved(wait, paused_at, event.at) for path, wait in state.pending.items()}
    asked = {path: requests.moved(request, paused_at, event.at) for path, request in state.requests.items()}
    deadline_at = state.deadline_at + (event.at - paused_at)
    return replace(state, paused_at=None, deadline_at=deadline_at, steps=steps, pending=pending, requests=asked)


def _parent(state: SagaState, event: e.ParentAsked, here: Order) -> ParentLink:
    if state.parent is None:
        raise ValueError(f"{state.saga} has no parent")
    return ParentLink(state.parent, event.path, event.kind, event.execution, event.attempt, here)


def _moved(execution: Execution, paused_at: datetime, now: datetime) -> Execution:
    """An attempt that was made or confirmed during the pause has only slept since then."""
    if execution.outcome is not None:
        return execution
    slept = now - max(paused_at, execution.clock_at)
    wake_at = execution.wake_at
    if wake_at is not None:  # a back-off may have begun during the pause: it is only a courtesy, so it is not moved
        wake_at = max(wake_at, now) if execution.waiting is Waiting.BACKOFF else wake_at + slept
    within_at = execution.within_at
    if within_at is not None:
        within_at += now - max(paused_at, execution.issued_at)
    return replace(execution, wake_at=wake_at, within_at=within_at, clock_at=execution.clock_at + slept)
