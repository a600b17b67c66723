"""The single-crash sweep: each scenario again and again, dying at boundary 1, 2, 3 ... until no boundary is left."""

from collections.abc import Iterator

import msgspec

from tests.simulation.hunt import run_one
from tests.simulation.scenarios import Scenario, scenarios, workload_of

BOUNDARIES_MOST = 600


class Swept(msgspec.Struct, frozen=True):
    """How a scenario took it."""

    scenario: str
    boundaries: int
    found: tuple[str, ...]


def sweep_all() -> Iterator[Swept]:
    """Every scenario."""
    for scenario in scenarios():
        yield sweep(scenario)


def sweep(scenario: Scenario) -> Swept:
    """Crash nowhere, then at every boundary of one scenario, one at a time."""
    found: list[str] = []
    for boundary in range(BOUNDARIES_MOST):
        workload = workload_of(scenario)
        world, broke = run_one(scenario.seed, faults=scenario.faults, workload=workload, crash_at=boundary)
        if broke is not None:
            found.append(f"crash at {boundary}: {broke.law}: {broke.text}")
        ended = world.store.rows[world.store.keys["k:0"]].state.phase
        if boundary == 0 and scenario.ends not in (None, ended):
            found.append(f"it is {ended} without a crash, not {scenario.ends}")
        if boundary and world.boundaries < boundary:
            return Swept(scenario.name, boundary - 1, tuple(found))
    return Swept(scenario.name, BOUNDARIES_MOST, (*found, "the scenario never ends"))
