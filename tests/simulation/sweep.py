"""The single-crash sweep: each scenario again and again, dying at boundary 1, 2, 3 ... until no boundary is left."""

from collections.abc import Iterator

import msgspec

from tests.simulation.hunt import run_one
from tests.simulation.scenarios import Scenario, scenarios, workload_of

SEED = 7
BOUNDARIES_MOST = 400


class Swept(msgspec.Struct, frozen=True):
    """How a scenario took it."""

    scenario: str
    boundaries: int
    found: tuple[str, ...]


def sweep_all() -> Iterator[Swept]:
    """Every scenario."""
    for scenario in scenarios():
        yield sweep(scenario)


def sweep(scenario: Scenario, seed: int = SEED, broken: frozenset[str] = frozenset()) -> Swept:
    """Crash at every boundary of one scenario, one at a time."""
    found: list[str] = []
    for boundary in range(1, BOUNDARIES_MOST):
        workload = workload_of(scenario.plan)
        world, broke = run_one(seed, faults=scenario.faults, workload=workload, crash_at=boundary, broken=broken)
        if broke is not None:
            found.append(f"crash at {boundary}: {broke.law}: {broke.text}")
        if world.boundaries < boundary:
            return Swept(scenario.name, boundary - 1, tuple(found))
    return Swept(scenario.name, BOUNDARIES_MOST, (*found, "the scenario never ends"))
