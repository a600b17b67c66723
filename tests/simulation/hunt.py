"""Running many worlds: seeds in, violations and counts out, in one process or several."""

import gc
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice

import msgspec

from tests.simulation.faults import Faults
from tests.simulation.violation import Violation
from tests.simulation.workload import Workload
from tests.simulation.world import World

CHUNK_RUNS = 250
SECONDS_AN_HOUR = 3_600.0


class Found(msgspec.Struct, frozen=True):
    """A seed that breaks a law."""

    seed: int
    law: str
    text: str


class Tally(msgspec.Struct):
    """What a number of runs came to."""

    runs: int = 0
    simulated_seconds: float = 0.0
    cpu_seconds: float = 0.0
    marks: dict[str, int] = {}
    found: list[Found] = []

    def add(self, other: "Tally") -> None:
        """Both together."""
        self.runs += other.runs
        self.simulated_seconds += other.simulated_seconds
        self.cpu_seconds += other.cpu_seconds
        self.marks = dict(Counter(self.marks) + Counter(other.marks))
        self.found = [*self.found, *other.found]


def run_one(
    seed: int,
    *,
    faults: Faults | None = None,
    workload: Workload | None = None,
    broken: frozenset[str] = frozenset(),
    crash_at: int | None = None,
) -> tuple[World, Found | None]:
    """One world to its end. An error inside the core is a violation too: nothing a peer sends may raise."""
    world = World(seed, faults=faults, workload=workload, broken=broken, crash_at=crash_at)
    try:
        world.run()
    except Violation as violation:
        return world, Found(seed, violation.law, violation.text)
    except Exception as error:
        return world, Found(seed, "raised", f"{type(error).__name__}: {error}")
    return world, None


def run_all(seeds: Iterable[int]) -> Tally:
    """Worlds one after the other; garbage is collected between them, not within."""
    began = time.process_time()
    tally = Tally()
    marks: Counter[str] = Counter()
    gc.disable()
    try:
        for number, seed in enumerate(seeds):
            world, found = run_one(seed)
            tally.runs += 1
            tally.simulated_seconds += min(world.now, world.drawn.heal_after_seconds + 86_400.0)
            marks.update(world.marks)
            if found is not None:
                tally.found.append(found)
            if number % 50 == 49:
                gc.collect(0)
    finally:
        gc.enable()
    tally.marks = dict(marks)
    tally.cpu_seconds = time.process_time() - began
    return tally


def hunt(first: int, runs: int, processes: int) -> Iterator[Tally]:
    """Chunks of consecutive seeds as they are done."""
    chunks = [range(at, min(at + CHUNK_RUNS, first + runs)) for at in range(first, first + runs, CHUNK_RUNS)]
    if processes == 1:
        yield from map(run_all, chunks)
        return
    with ProcessPoolExecutor(processes) as pool:
        waiting = iter(chunks)
        running = {pool.submit(run_all, chunk) for chunk in islice(waiting, 2 * processes)}
        while running:
            done = next(as_completed(running))
            running.remove(done)
            for chunk in islice(waiting, 1):
                running.add(pool.submit(run_all, chunk))
            yield done.result()
