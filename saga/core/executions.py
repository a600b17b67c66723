"""What events say of one step's executions: sent, answered, parked. Part of `saga.core.evolve`."""

from collections.abc import Callable, Collection
from typing import assert_never

import msgspec

from saga.core import events as e
from saga.core.compensation import is_about_the_action
from saga.core.messages import Kind, Outcome, RefusedCode
from saga.core.retry import in_deploy_gap, reason_of
from saga.core.state import Execution, Order, Parked, SagaState, StepState, Waiting

replace = msgspec.structs.replace

Sending = e.CommandIssued | e.AttemptEnded | e.CommandRepeated | e.DispatchDelayed | e.DispatchConfirmed


def sent(state: SagaState, event: Sending, here: Order) -> SagaState:
    """A command was issued, or its current attempt moved."""
    if isinstance(event, e.CommandIssued):
        return _issue(state, event, here)
    execution = _current(state, event.path, event.kind)
    if isinstance(event, e.DispatchDelayed | e.DispatchConfirmed):
        return _with_execution(state, event.path, _dispatched(execution, event))
    return _with_execution(state, event.path, _attempted(execution, event, here))


def _attempted(execution: Execution, event: e.AttemptEnded | e.CommandRepeated, here: Order) -> Execution:
    within_at = event.within_at or execution.within_at
    match event:
        case e.AttemptEnded():
            counted = execution.counted + in_deploy_gap(execution)  # it ends twice, and did not count the first time
            return replace(
                execution,
                waiting=Waiting.BACKOFF,
                wake_at=event.next_at,
                unknown=event.why == RefusedCode.UNKNOWN_COMMAND and not event.counted,
                why=reason_of(event.why, event.message),
                counted=counted if event.counted else counted - 1,
                within_at=within_at,
            )
        case e.CommandRepeated():
            return replace(
                execution,
                attempt=event.attempt,
                counted=1 if event.fresh_budget else execution.counted + 1,
                sent=here,
                sent_at=event.at,
                clock_at=event.at,
                delivered=False,
                waiting=Waiting.REPLY,
                wake_at=event.due_at,
                within_at=within_at,
                exhausted=False,
                undoes_outcome=event.undoes_outcome or execution.undoes_outcome,
            )


def _dispatched(execution: Execution, event: e.DispatchDelayed | e.DispatchConfirmed) -> Execution:
    match event:
        case e.DispatchDelayed():
            return replace(execution, waiting=Waiting.DELIVERY, wake_at=None, why=event.why, delivered=False)
        case e.DispatchConfirmed():
            return replace(
                execution,
                waiting=Waiting.REPLY,
                wake_at=event.due_at,
                clock_at=event.at,
                delivered=True,
                within_at=event.within_at or execution.within_at,
                why="",
            )


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
        built_for=event.undoes_outcome,
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


Answering = (
    e.StepSucceeded
    | e.StepFailed
    | e.StepExhausted
    | e.CompensationSucceeded
    | e.CompensationFailed
    | e.LateReply
    | e.ContradictoryReply
)


def answered(state: SagaState, event: Answering, here: Order) -> SagaState:
    """An execution was settled or given up, or an answer came that changes nothing."""
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
            return unparked(_with_step(state, event.path, changed), event.path, Kind.COMPENSATION)
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
    why = state.parked.get(path)
    if why is not None and is_about_the_action(why, state.steps[path]):
        return unparked(state, path, Kind.COMPENSATION)
    return unparked(state, path, Kind.ACTION)


def _settle(execution: Execution, outcome: Outcome, here: Order) -> Execution:
    settled = here if execution.outcome is None else execution.settled
    return replace(execution, outcome=outcome, waiting=Waiting.NOTHING, wake_at=None, settled=settled, exhausted=False)


def _mark_odd(step: StepState, event: e.LateReply | e.ContradictoryReply) -> StepState:
    def mark(execution: Execution) -> Execution:
        return replace(execution, odd=execution.odd | {event.outcome})

    return _with_marked(step, (event.kind, event.execution), mark)


def told_cost(state: SagaState, event: e.Definite) -> SagaState:
    """A definite answer told what its execution cost."""
    step = state.steps[event.path]
    marked = _with_marked(
        step, (e.kind_of(event), event.execution), lambda execution: replace(execution, cost_told=True)
    )
    return _with_step(state, event.path, marked)


def _with_marked(step: StepState, which: tuple[Kind, int], change: Callable[[Execution], Execution]) -> StepState:
    """The step with one of its executions changed, the current one or one before."""

    def mark(execution: Execution) -> Execution:
        return change(execution) if (execution.kind, execution.number) == which else execution

    undo = None if step.undo is None else mark(step.undo)
    return replace(step, action=mark(step.action), undo=undo, past=tuple(mark(past) for past in step.past))


def parked(state: SagaState, event: e.StepParked) -> SagaState:
    """A step waits for a person: its clock stands still."""
    why = Parked(event.kind, event.code, event.text, event.at)
    state = replace(state, parked={**state.parked, event.path: why})
    step = state.steps.get(event.path)
    execution = None if step is None else (step.action if event.kind is Kind.ACTION else step.undo)
    if execution is None or execution.outcome is not None:
        return state
    return _with_execution(state, event.path, replace(execution, waiting=Waiting.NOTHING, wake_at=None))


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


def released(state: SagaState, paths: Collection[str]) -> SagaState:
    """These were parked going forward, in a block that was given up."""
    return replace(state, parked={path: p for path, p in state.parked.items() if path not in paths}) if paths else state


def unparked(state: SagaState, path: str, kind: Kind) -> SagaState:
    """Nobody needs to look at this step for that reason any more."""
    why = state.parked.get(path)
    if why is None or why.kind is not kind:
        return state
    return replace(state, parked={other: p for other, p in state.parked.items() if other != path})
