"""A child and its parent agree at the end: what the parent did stands, what it undid is undone, as one unit."""

from typing import TYPE_CHECKING

from saga.core.children import KEY, SERVICE
from saga.core.events import ParentAsked
from saga.core.identity import idempotency_key
from saga.core.messages import Kind, Outcome
from saga.core.state import Phase, SagaState, StepState
from tests.simulation.store import Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

UNDONE = (Phase.COMPENSATED, Phase.ABANDONED)


def at_end(world: "World", row: Row) -> None:
    """Every child this saga asked for; and one that was undone before it began did nothing."""
    first = next((event for event in row.commits[0].events if isinstance(event, ParentAsked)), None)
    effects = [entry for entry in world.ledger.entries.values() if entry.saga == row.saga]
    if effects and first is not None and first.kind is Kind.COMPENSATION:
        raise Violation("child", f"{row.saga} was undone before it began, and took effect")
    for path, step in row.state.steps.items():
        if row.plan.step(path).command.service != SERVICE:
            continue
        key = idempotency_key(row.saga, path, Kind.ACTION, step.action.number)
        saga = world.store.keys.get(f"{KEY}{key}")
        child = None if saga is None else world.store.rows[saga].state
        _agrees(world, row.state, path, step, child)


def _agrees(world: "World", state: SagaState, path: str, step: StepState, child: SagaState | None) -> None:
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
