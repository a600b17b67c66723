"""A child and its parent agree at the end: what the parent did stands, what it undid is undone, as one unit."""

from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core.blocks import StepKind
from saga.core.children import KEY, SERVICE
from saga.core.events import ParentAsked
from saga.core.identity import idempotency_key
from saga.core.inputs import ParentAsks
from saga.core.messages import Kind, Outcome
from saga.core.state import Phase, SagaState, StepState
from tests.simulation.store import Commit, Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

UNDONE = (Phase.COMPENSATED, Phase.ABANDONED)


def on_commit(world: "World", row: Row, commit: Commit) -> None:
    """What a parent hears of a child is true when it hears it, and a child does with its parent's wish what it says."""
    for event in commit.events:
        match event:
            case e.CompensationSucceeded(actor=None) if _is_child(row, event.path):
                child = _child_of(world, row, event.path)
                if child is None or child.state.phase not in UNDONE:
                    what = "not there" if child is None else f"{child.state.phase}"
                    raise Violation("child", f"{event.path} counts as undone, and its child is {what}")
            case e.StepSucceeded(actor=None) if _is_child(row, event.path):
                child = _child_of(world, row, event.path)
                if child is None or not any(isinstance(c.events[-1], e.SagaCompleted) for c in child.commits):
                    raise Violation("child", f"{event.path} counts as done, and its child never was")
            case _:
                pass
    given = commit.given
    if isinstance(given, ParentAsks) and given.kind is Kind.COMPENSATION and commit.events:
        _heard(row, commit, given)


def _heard(row: Row, commit: Commit, given: ParentAsks) -> None:
    """It turns round now, or goes on to its end first."""
    before, after = row.commits[-2].state, commit.state
    if before.phase is not Phase.RUNNING or before.cancel is not None or before.deadline_passed:
        return
    if given.wait and any(isinstance(event, e.CancelRequested) for event in commit.events):
        raise Violation("child", f"{row.saga} is cancelled, and was to be waited for")
    if not given.wait and after.phase is Phase.RUNNING and after.paused_at is None:
        raise Violation("child", f"{row.saga} was to be cancelled, and goes on")


def _is_child(row: Row, path: str) -> bool:
    return row.plan.step(path).command.service == SERVICE


def _child_of(world: "World", row: Row, path: str) -> Row | None:
    number = row.state.steps[path].action.number
    saga = world.store.keys.get(f"{KEY}{idempotency_key(row.saga, path, Kind.ACTION, number)}")
    return None if saga is None else world.store.rows[saga]


def at_end(world: "World", row: Row) -> None:
    """Every child this saga asked for; and one that was undone before it began did nothing."""
    first = next((event for event in row.commits[0].events if isinstance(event, ParentAsked)), None)
    effects = [entry for entry in world.ledger.entries.values() if entry.saga == row.saga]
    if effects and first is not None and first.kind is Kind.COMPENSATION:
        raise Violation("child", f"{row.saga} was undone before it began, and took effect")
    for path, step in row.state.steps.items():
        if _is_child(row, path):
            child = _child_of(world, row, path)
            _agrees(world, row, path, step, None if child is None else child.state)


def _agrees(world: "World", row: Row, path: str, step: StepState, child: SagaState | None) -> None:
    state, kind = row.state, row.plan.step(path).kind
    if kind is StepKind.PIVOT and state.phase is Phase.COMPENSATED and child and child.phase is Phase.COMPLETED:
        raise Violation("S12", f"{row.saga} is compensated, but the sub-saga {path} is completed")
    if row.plan.step(path).undo is None and child and child.asked_by and child.asked_by.kind is Kind.COMPENSATION:
        raise Violation("child", f"{path} is to be undone, and its definition says that it stays")
    if step.undone:
        by_a_person = step.undo is not None and step.undo.outcome is not Outcome.OK
        if child is not None and child.phase not in UNDONE and not by_a_person:
            raise Violation("child", f"{path} is undone, but {child.saga} is {child.phase}")
        world.marks["child undone with its parent"] += 1
    elif step.action.outcome is Outcome.OK and state.phase is Phase.COMPLETED:
        if child is None or child.phase is not Phase.COMPLETED:
            raise Violation("child", f"{path} is done, but its child is {child.phase if child else 'not there'}")
        world.marks["child completed with its parent"] += 1
    elif step.action.outcome is Outcome.FAILED and child is not None and child.phase is Phase.COMPLETED:
        raise Violation("child", f"{path} failed, but {child.saga} is completed")
