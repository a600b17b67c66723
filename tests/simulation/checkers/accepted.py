"""S15: one saga a business key; the same key with other bytes is refused; every caller learns its saga."""

from typing import TYPE_CHECKING

from tests.simulation.faults import Regime
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def at_end(world: "World") -> None:
    """One row a key; what a caller was told is durable, and made of the bytes it sent; nobody waits for ever."""
    for ask, saga in world.callers.told:
        row = world.store.rows.get(saga)
        if row is None:
            raise Violation("S15", f"{ask.key} was accepted as {saga}, which the store does not have")
        if row.input != ask.input:
            raise Violation("S15", f"{ask.key} was accepted with other bytes than those of its saga")
    keys = [row.start_key for row in world.store.rows.values()]
    if len(keys) != len(set(keys)):
        raise Violation("S15", "two sagas with one business key")
    missing = len(world.workload.sagas) - sum(key.startswith("k:") for key in keys)
    if missing and world.drawn.regime is not Regime.DEAD_SERVICE:  # that one is not watched to its end
        raise Violation("L1", f"{missing} starts never became a saga")
