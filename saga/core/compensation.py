"""What must be undone, in which order, and what undoes it."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from saga.core import events as e
from saga.core.definition import CommandTemplate, OnUndoFailed, Step, StepKind
from saga.core.evaluation import render
from saga.core.expression import EvaluationError
from saga.core.limits import BODY_BYTES_MAX
from saga.core.messages import Kind, Outcome
from saga.core.retry import forgotten, key_forgotten
from saga.core.state import Execution, Parked, SagaState, StepState, Waiting


def sources(state: SagaState, *, with_undone: bool = False) -> dict[str, bytes]:
    """The recorded JSON that expressions read: the input, and the reply of every step that stands."""
    found = {"input": state.input}
    for path, step in state.steps.items():
        if step.reply is not None and step.action.outcome is Outcome.OK and (with_undone or not step.undone):
            found[path] = step.reply
    return found


def undo_targets(state: SagaState, steps: Iterable[Step]) -> list[Step]:
    """Steps to be undone, first one first: unfinished ones, newest issue first, then in reverse order of completion.

    Every issued execution without a definite `failed` counts, whatever was answered: it may have happened.
    """
    targets: list[tuple[bool, tuple[int, int], Step]] = []
    for step in steps:
        current = state.steps.get(step.path)
        if step.kind is not StepKind.COMPENSATABLE or step.undo is None or current is None:
            continue
        if current.action.outcome is Outcome.FAILED or current.undone:
            continue
        unfinished = current.action.outcome is None
        order = current.action.issued if unfinished else current.action.settled
        targets.append((unfinished, order, step))
    targets.sort(key=lambda target: target[:2], reverse=True)
    return [step for _, _, step in targets]


def is_being_undone(step: StepState) -> bool:
    """A compensation of the current execution was issued, and was not refused."""
    undo = step.undo
    return undo is not None and undo.undoes == step.action.number and undo.outcome is not Outcome.FAILED


def is_about_the_action(parked: Parked, step: StepState) -> bool:
    """The question is whether the action happened: before its undo, or because its service needs to know for it."""
    if parked.code is e.ParkCode.ACTION_IN_DOUBT:
        return True
    if parked.kind is not Kind.COMPENSATION or parked.code not in (e.ParkCode.IN_DOUBT, e.ParkCode.KEY_FORGOTTEN):
        return False
    return not is_being_undone(step)


def next_undo(state: SagaState, steps: Iterable[Step], now: datetime) -> tuple[e.AnyEvent, ...] | None:
    """The next compensation to issue: its events; () while one is under way or stands parked; None when all is undone.

    One at a time: the next is issued only after the one before was acknowledged.
    """
    held = False
    targets = undo_targets(state, steps)
    if any(_is_under_way(state, step) for step in targets):
        return ()
    for step in targets:
        if step.path in state.parked:
            if step.on_undo_failed is OnUndoFailed.HOLD:
                return ()
            held = True
            continue
        current = state.steps[step.path]
        if current.undo is not None and is_being_undone(current):
            return (_ask_again(step, current, current.undo, now),)
        return (_undo(state, step, current, now),)
    return () if held else None


def _is_under_way(state: SagaState, step: Step) -> bool:
    current = state.steps[step.path]
    undo = current.undo if is_being_undone(current) else None
    stands = undo is None or undo.waiting is Waiting.NOTHING or step.path in state.parked
    return not stands


def _ask_again(step: Step, current: StepState, undo: Execution, now: datetime) -> e.AnyEvent:
    """The doubt is over, and the undo goes on under its own key: copies sent before may have run, or may still run."""
    if forgotten(step, current, undo, now):
        text = f"the undo of {step.path} was first sent {now - undo.issued_at} ago: its key may be forgotten"
        return e.StepParked(at=now, path=step.path, kind=Kind.COMPENSATION, code=e.ParkCode.KEY_FORGOTTEN, text=text)
    return e.CommandRepeated(
        at=now,
        path=step.path,
        kind=Kind.COMPENSATION,
        execution=undo.number,
        attempt=undo.attempt + 1,
        due_at=now + step.timeout,
        fresh_budget=True,
        undoes_outcome="unknown" if current.action.outcome is None else "ok",
    )


def _undo(state: SagaState, step: Step, current: StepState, now: datetime) -> e.AnyEvent:
    unknown = current.action.outcome is None
    if unknown and key_forgotten(current.action, step.command.remembers, now):
        # The participant would find no row, take it that nothing happened, and promise that nothing ever will.
        text = f"{step.path} may have happened, and its key may be forgotten by now: say applied or not-applied"
        return e.StepParked(at=now, path=step.path, kind=Kind.COMPENSATION, code=e.ParkCode.KEY_FORGOTTEN, text=text)
    template = (step.undo_unknown if unknown else None) or step.undo
    if template is None:
        raise ValueError(f"{step.path} is no undo target")
    try:
        body = undo_body(template, state)
    except EvaluationError as error:
        text = f"the undo of {step.path} cannot be built: {error}"
        return e.StepParked(at=now, path=step.path, kind=Kind.COMPENSATION, code=e.ParkCode.EVALUATION, text=text)
    return e.CommandIssued(
        at=now,
        path=step.path,
        kind=Kind.COMPENSATION,
        execution=next_number(current, Kind.COMPENSATION),
        body=msgspec.Raw(body),
        due_at=now + step.timeout,
        undoes=current.action.number,
        undoes_outcome="unknown" if unknown else "ok",
    )


def undo_body(template: CommandTemplate, state: SagaState) -> bytes:
    """The body of a compensation. Raises EvaluationError when it cannot be built or would not fit on the wire."""
    # What was undone is still known: with `continue`, the steps an undo reads may have been undone before it.
    body = render(template.body, sources(state, with_undone=True))
    if len(body) > BODY_BYTES_MAX:
        raise EvaluationError(template.type_name, f"its body would have {len(body)} bytes, at most {BODY_BYTES_MAX}")
    return body


def next_number(step: StepState, kind: Kind) -> int:
    """The number of the step's next execution of that kind: never used before."""
    executions: list[Execution] = [step.action, *step.past, *([step.undo] if step.undo is not None else [])]
    return 1 + max((x.number for x in executions if x.kind is kind), default=0)
