"""What compensating a saga now would undo, in which order: from its history alone, nothing is written or sent."""

from datetime import datetime

import msgspec

from saga.core import events as e
from saga.core.address import TOP
from saga.core.children import SERVICE
from saga.core.compensation import is_being_undone, next_number, next_undo, undo_targets
from saga.core.evolve import evolve, next_commit
from saga.core.messages import Kind, Outcome
from saga.core.plan import Plan, pivot_passed, pivot_undecided, template_of
from saga.core.state import Order, Phase, SagaState, StepState


class PlannedUndo(msgspec.Struct, frozen=True):
    """One step that would be undone."""

    path: str
    command: str
    """Type of the undo, e.g. `payments.RefundCharge.v1`; a sub-saga is undone as a unit."""
    outcome: str
    """What is known of the step: `ok`, or `unknown` when it may have happened."""
    body: msgspec.Raw
    child: bool
    parks: str
    """Why a person would have to look before it can be undone; empty: it is simply sent."""


class Preview(msgspec.Struct, frozen=True):
    """What a cancel would lead to now."""

    takes_effect: str
    """`now`, `if-pivot-fails`, `too-late` behind the pivot, `ended`; `under-way` when it compensates already."""
    stages: tuple[tuple[PlannedUndo, ...], ...]
    """What is undone side by side, one stage after the other, if every undo succeeds; each in the order of sending,
    what parks first."""


def preview(plan: Plan, state: SagaState, now: datetime) -> Preview:
    """The stages of compensation; none where it has no effect any more."""
    effect = _effect(plan, state)
    if effect in ("too-late", "ended"):
        return Preview(effect, ())
    if state.phase is Phase.RUNNING:
        state = evolve(next_commit(state), e.CompensationStarted(at=now, because="cancelled", message="cancelled"))
    stages: list[tuple[PlannedUndo, ...]] = []
    for _ in range(len(state.steps) + 1):
        state = _issued(plan, next_commit(state), now)
        under_way = [step.path for step in undo_targets(state, plan.definition.blocks) if _is_next(state, step.path)]
        if not under_way:
            break
        under_way.sort(key=lambda path: _sent(state.steps[path]))
        stages.append(tuple(_planned(plan, state, path) for path in under_way))
        for path in under_way:
            state = _undone(state, path, now)
    return Preview(effect, tuple(stages))


def _effect(plan: Plan, state: SagaState) -> str:
    if state.terminal:
        return "ended"
    if state.phase is Phase.COMPENSATING:
        return "under-way"
    if pivot_passed(plan, state):
        return "too-late"
    return "if-pivot-fails" if pivot_undecided(plan, state) else "now"


def _issued(plan: Plan, state: SagaState, now: datetime) -> SagaState:
    """The state once everything that can be undone side by side is being undone."""
    while found := next_undo(state, plan.definition.blocks, TOP, now):
        for event in found:
            state = evolve(state, event)
    return state


def _is_next(state: SagaState, path: str) -> bool:
    return path in state.parked or _is_under_way(state.steps[path])


def _is_under_way(step: StepState) -> bool:
    return step.undo is not None and is_being_undone(step) and step.undo.outcome is None


def _sent(step: StepState) -> Order:
    return step.undo.issued if step.undo is not None and _is_under_way(step) else (0, 0)


def _planned(plan: Plan, state: SagaState, path: str) -> PlannedUndo:
    step, current = plan.step(path), state.steps[path]
    undo = current.undo if _is_under_way(current) else None
    template = step.undo if undo is None else template_of(step, undo)
    parked = state.parked.get(path)
    return PlannedUndo(
        path=path,
        command="" if template is None else template.type_name,
        outcome="ok" if current.action.outcome is Outcome.OK else "unknown",
        body=msgspec.Raw(b"null" if undo is None else undo.body),
        child=template is not None and template.service == SERVICE,
        parks="" if parked is None else f"{parked.code}: {parked.text}",
    )


def _undone(state: SagaState, path: str, now: datetime) -> SagaState:
    """As if it was answered ok, by its service or by whoever looked."""
    parked = state.parked.get(path)
    if parked is not None:
        released = e.StepReleased(at=now, path=path, kind=parked.kind, verdict="applied", actor="", reason="")
        state = evolve(state, released)
    current = state.steps[path]
    number = current.undo.number if current.undo is not None else next_number(current, Kind.COMPENSATION) - 1
    return evolve(state, e.CompensationSucceeded(at=now, path=path, execution=number))
