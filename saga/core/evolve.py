"""`evolve`: one event more. Never decides, never refuses what is recorded."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

import msgspec

from saga.core import events as e
from saga.core.compensation import is_about_the_action
from saga.core.messages import Kind, Outcome
from saga.core.state import BlockMode, Execution, Order, Parked, Phase, SagaState, StepState, Waiting

replace = msgspec.structs.replace


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


def evolve(state: SagaState, event: e.AnyEvent) -> SagaState:  # noqa: C901 - a closed match, one line a case
    """The state after one more event of the current commit."""
    here = (state.version, state.index)
    state = replace(state, index=state.index + 1, events_count=state.events_count + 1)
    match event:
        case e.SagaStarted():
            raise ValueError(f"{state.saga} is started twice")
        case e.CommandIssued() | e.AttemptEnded() | e.CommandRepeated() | e.DispatchDelayed() | e.DispatchConfirmed():
            return _sending(state, event, here)
        case (
            e.StepSucceeded()
            | e.StepFailed()
            | e.StepExhausted()
            | e.CompensationSucceeded()
            | e.CompensationFailed()
            | e.LateReply()
            | e.ContradictoryReply()
        ):
            return _answering(state, event, here)
        case e.StepParked():
            return _park(state, event)
        case e.StepReleased():
            return _unpark(state, event.path, event.kind)
        case e.ArmChosen():
            return replace(state, arms={**state.arms, event.path: event.taken})
        case e.BlockFailed():
            return replace(state, blocks={**state.blocks, event.path: BlockMode.UNDOING})
        case e.BlockUndone():
            return replace(state, blocks={**state.blocks, event.path: BlockMode.OTHERWISE})
        case e.SagaPaused():
            return replace(state, paused_at=event.at)
        case e.SagaResumed():
            return _resume(state, event)
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
        index=1,
        events_count=1,
        recorded_bytes=len(bytes(event.input)),
    )


_Phase = e.CompensationStarted | e.CancelRequested | e.DeadlinePassed
_End = e.SagaCompleted | e.SagaCompensated | e.SagaAbandoned


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
            )
        case e.CancelRequested():
            return replace(state, cancel=event.request, cancel_counts=event.takes_effect != "too-late")
        case e.DeadlinePassed():
            return replace(state, deadline_passed=True)
        case e.SagaCompleted():
            return replace(state, phase=Phase.COMPLETED, output=bytes(event.output), parked={}, paused_at=None)
        case e.SagaCompensated():
            return replace(state, phase=Phase.COMPENSATED, parked={}, paused_at=None)
        case e.SagaAbandoned():
            return replace(state, phase=Phase.ABANDONED, parked={}, paused_at=None, because=event.reason)
        case _:
            assert_never(event)


_Sending = e.CommandIssued | e.AttemptEnded | e.CommandRepeated | e.DispatchDelayed | e.DispatchConfirmed


def _sending(state: SagaState, event: _Sending, here: Order) -> SagaState:
    if isinstance(event, e.CommandIssued):
        return _issue(state, event, here)
    execution = _current(state, event.path, event.kind)
    match event:
        case e.AttemptEnded():
            changed = replace(
                execution,
                waiting=Waiting.BACKOFF,
                wake_at=event.next_at,
                why=event.why,
                counted=execution.counted if event.counted else execution.counted - 1,
                within_at=event.within_at or execution.within_at,
            )
        case e.CommandRepeated():
            changed = replace(
                execution,
                attempt=event.attempt,
                counted=1 if event.fresh_budget else execution.counted + 1,
                sent=here,
                sent_at=event.at,
                clock_at=event.at,
                delivered=False,
                waiting=Waiting.REPLY,
                wake_at=event.due_at,
                within_at=event.within_at or execution.within_at,
                exhausted=False,
            )
        case e.DispatchDelayed():
            changed = replace(execution, waiting=Waiting.DELIVERY, wake_at=None, why=event.why, delivered=False)
        case e.DispatchConfirmed():
            changed = replace(
                execution,
                waiting=Waiting.REPLY,
                wake_at=event.due_at,
                clock_at=event.at,
                delivered=True,
                within_at=event.within_at or execution.within_at,
                why="",
            )
        case _:
            assert_never(event)
    return _with_execution(state, event.path, changed)


def _issue(state: SagaState, event: e.CommandIssued, here: Order) -> SagaState:
    body = bytes(event.body)
    execution = Execution(
        kind=event.kind,
        number=event.execution,
        body=body,
        issued=here,
        issued_at=event.at,
        sent=here,
        sent_at=event.at,
        clock_at=event.at,
        wake_at=event.due_at,
        within_at=event.within_at,
        undoes=event.undoes,
        undoes_outcome=event.undoes_outcome,
    )
    state = replace(state, recorded_bytes=state.recorded_bytes + len(body))
    step = state.steps.get(event.path)
    if step is None:
        return _with_step(state, event.path, StepState(action=execution))
    if event.kind is Kind.COMPENSATION:
        past = step.past if step.undo is None else (*step.past, step.undo)
        return _with_step(state, event.path, replace(step, undo=execution, past=past))
    past = (*step.past, step.action) if step.undo is None else (*step.past, step.action, step.undo)
    return _with_step(state, event.path, StepState(action=execution, past=past))


_Answering = (
    e.StepSucceeded
    | e.StepFailed
    | e.StepExhausted
    | e.CompensationSucceeded
    | e.CompensationFailed
    | e.LateReply
    | e.ContradictoryReply
)


def _answering(state: SagaState, event: _Answering, here: Order) -> SagaState:
    step = state.steps[event.path]
    match event:
        case e.StepSucceeded():
            reply = bytes(event.reply)
            action = _settle(step.action, Outcome.OK, here)
            changed = replace(step, action=replace(action, effect=event.effect), reply=reply)
            state = replace(state, recorded_bytes=state.recorded_bytes + len(reply))
            return _no_doubt_left(_with_step(state, event.path, changed), event.path)
        case e.StepFailed():
            action = replace(_settle(step.action, Outcome.FAILED, here), code=event.code)
            return _no_doubt_left(_with_step(state, event.path, replace(step, action=action)), event.path)
        case e.StepExhausted():
            action = replace(step.action, waiting=Waiting.NOTHING, wake_at=None, exhausted=True, why=event.why)
            return _with_step(state, event.path, replace(step, action=action))
        case e.CompensationSucceeded():
            undo = step.undo if step.undo is None else _settle(step.undo, Outcome.OK, here)
            undo = undo if undo is None else replace(undo, effect=event.effect)
            changed = replace(step, undo=undo, undone=True)
            return _unpark(_with_step(state, event.path, changed), event.path, Kind.COMPENSATION)
        case e.CompensationFailed():
            undo = replace(
                _settle(_current(state, event.path, Kind.COMPENSATION), Outcome.FAILED, here), code=event.code
            )
            return _with_step(state, event.path, replace(step, undo=undo))
        case e.LateReply() | e.ContradictoryReply():
            return _with_step(state, event.path, _mark_odd(step, event))
        case _:
            assert_never(event)


def _no_doubt_left(state: SagaState, path: str) -> SagaState:
    """The action has a definite outcome: nobody needs to look at it any more, going forward or before its undo."""
    parked = state.parked.get(path)
    if parked is not None and is_about_the_action(parked, state.steps[path]):
        return _unpark(state, path, Kind.COMPENSATION)
    return _unpark(state, path, Kind.ACTION)


def _settle(execution: Execution, outcome: Outcome, here: Order) -> Execution:
    settled = here if execution.outcome is None else execution.settled
    return replace(execution, outcome=outcome, waiting=Waiting.NOTHING, wake_at=None, settled=settled, exhausted=False)


def _mark_odd(step: StepState, event: e.LateReply | e.ContradictoryReply) -> StepState:
    def mark(execution: Execution) -> Execution:
        if (execution.kind, execution.number) != (event.kind, event.execution):
            return execution
        return replace(execution, odd=execution.odd | {event.outcome})

    undo = None if step.undo is None else mark(step.undo)
    return replace(step, action=mark(step.action), undo=undo, past=tuple(mark(past) for past in step.past))


def _park(state: SagaState, event: e.StepParked) -> SagaState:
    parked = Parked(event.kind, event.code, event.text, event.at)
    state = replace(state, parked={**state.parked, event.path: parked})
    step = state.steps.get(event.path)
    execution = None if step is None else (step.action if event.kind is Kind.ACTION else step.undo)
    if execution is None or execution.outcome is not None:
        return state
    return _with_execution(state, event.path, replace(execution, waiting=Waiting.NOTHING, wake_at=None))


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
    deadline_at = state.deadline_at + (event.at - paused_at)
    return replace(state, paused_at=None, deadline_at=deadline_at, steps=steps)


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


def _current(state: SagaState, path: str, kind: Kind) -> Execution:
    step = state.steps[path]
    execution = step.action if kind is Kind.ACTION else step.undo
    if execution is None:
        raise ValueError(f"{state.saga}: {path} has no {kind}")
    return execution


def _with_execution(state: SagaState, path: str, execution: Execution) -> SagaState:
    step = state.steps[path]
    changed = replace(step, action=execution) if execution.kind is Kind.ACTION else replace(step, undo=execution)
    return _with_step(state, path, changed)


def _with_step(state: SagaState, path: str, step: StepState) -> SagaState:
    return replace(state, steps={**state.steps, path: step})


def _unpark(state: SagaState, path: str, kind: Kind) -> SagaState:
    parked = state.parked.get(path)
    if parked is None or parked.kind is not kind:
        return state
    return replace(state, parked={other: p for other, p in state.parked.items() if other != path})
