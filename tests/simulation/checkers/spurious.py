"""L4: where nobody refused, nobody asked to stop and everything healed in time, nothing is undone."""

from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core.messages import Kind
from tests.simulation.checkers.shadow import Shadow
from tests.simulation.faults import Regime
from tests.simulation.store import Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def at_end(world: "World", row: Row, shadow: Shadow) -> None:
    """Compensation needs a cause."""
    calm = world.drawn.regime in (Regime.WITHIN_BUDGET, Regime.FAULT_FREE)
    if row.state.asked_by is not None and row.state.asked_by.kind is Kind.COMPENSATION:
        return  # its parent undid it; the parent is judged by itself
    if calm and shadow.compensating and not _undone_below(world, row) and shadow.because not in ("operator", "parent"):
        raise Violation("L4", f"{row.saga} was compensated ({shadow.because}), and nobody had failed")
    lost = shadow.because == "parent"  # a child of a branch that another one made needless
    if world.drawn.regime is Regime.FAULT_FREE and shadow.ended is not e.SagaCompleted and not lost:
        raise Violation("L4", f"{row.saga} did not complete in a world without faults")


def _undone_below(world: "World", row: Row) -> bool:
    """An operator undid a sub-saga, at any depth: its parent hears that it failed, and so on upwards."""
    children = [other for other in world.store.rows.values() if other.state.parent == row.saga]
    return any(
        world.checkers.shadows[child.saga].because == "operator" or _undone_below(world, child) for child in children
    )
