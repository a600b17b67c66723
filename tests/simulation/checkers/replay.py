"""S4: the recorded inputs, decided again, give the recorded events byte for byte."""

from typing import TYPE_CHECKING

from saga.core import events as e
from saga.core.decide import decide
from saga.core.state import SagaState
from tests.simulation.store import Row
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


SAMPLED = 3
"""One seed in so many: deciding everything twice is what costs most."""


def at_end(world: "World", row: Row) -> None:
    """From nothing to the end."""
    if world.seed % SAMPLED:
        return
    state: SagaState | None = None
    for commit in row.commits:
        decision = decide(row.plan, state, commit.given)
        if e.encode(decision.events) != commit.data:
            raise Violation("S4", f"{row.saga}: version {commit.version} is decided otherwise the second time")
        state = decision.state
    world.marks["replayed histories"] += 1
