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
    children = [other for other in world.store.rows.values() if other.state.parent == row.saga]
    undone_below = any(world.checkers.shadows[child.saga].because == "operator" for child in children)
    if calm and shadow.compensating and not undone_below and shadow.because not in ("operator", "parent"):
        raise Violation("L4", f"{row.saga} was compensated ({shadow.because}), and nobody had failed")
    lost = shadow.because == "parent"  # a child of a branch that another one made needless
    if world.drawn.regime is Regime.FAULT_FREE and shadow.ended is not e.SagaCompleted and not lost:
        raise Violation("L4", f"{row.saga} did not complete in a world without faults")
