"""One simulated world: a heap of events in virtual time, one source of chance, and everything that lives in it.

A run is a function of its seed. Faults happen until the world heals; afterwards it must come to rest.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from saga.core.messages import CommandMessage
from saga.core.plan import Plan
from tests.simulation.broker import Broker
from tests.simulation.callers import Callers
from tests.simulation.checkers import Checkers
from tests.simulation.families import child_plan
from tests.simulation.faults import Faults, Regime, draw, healed
from tests.simulation.ledger import Ledger
from tests.simulation.operators import Operators
from tests.simulation.orchestrator import Orchestrator
from tests.simulation.outsiders import Outsiders
from tests.simulation.participant import Participant
from tests.simulation.pauses import Pauses
from tests.simulation.store import Store
from tests.simulation.structures import draw_structured
from tests.simulation.violation import Crash, Violation
from tests.simulation.workload import PATIENCE, SERVICES, Patience, Workload

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STRUCTURED_FROM = 10_000_000
"""Seeds from here on draw definitions of every construct; those below draw steps, conditions and attempts."""
EVENTS_MAX = 20_000
"""Of the heap: a run that needs more does not come to rest."""
REST_WITHIN_SECONDS = 120 * 86_400.0
"""Virtual time after healing within which everything must be at rest."""
DEAD_HORIZON_SECONDS = 3_200.0
"""How long a world with a dead service is watched after healing."""


class World:
    """Everything of one run."""

    def __init__(
        self,
        seed: int,
        *,
        faults: Faults | None = None,
        workload: Workload | None = None,
        broken: frozenset[str] = frozenset(),
        crash_at: int | None = None,
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        drawn = draw(self.random)
        self.faults = drawn if faults is None else faults
        self.drawn = self.faults
        self.broken = broken
        """Names of planted bugs in the simulated parts."""
        self.crash_at = crash_at
        """In a sweep: the one boundary at which the process dies."""
        self.boundaries = 0
        self.now = 0.0
        self.marks: Counter[str] = Counter()
        self.happened = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._held: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self.structured = seed >= STRUCTURED_FROM if workload is None else workload.structured
        if workload is None:
            workload = (draw_structured if self.structured else Workload.draw)(self.random, self.faults)
        self.workload = workload
        self.patience = PATIENCE.get(self.faults.regime, Patience.NONE)
        self.plans: dict[str, Plan] = {}
        """Of every saga a command was ever sent for."""
        self.ghosts: list[CommandMessage] = []
        """Commands that were sent before the store knew of them."""
        self.checkers = Checkers(self)
        self.ledger = Ledger(self)
        self.broker = Broker(self)
        self.store = Store(self)
        self.participants = {name: Participant(self, name) for name in SERVICES}
        count = self.random.choice((1, 2, 2, 3)) if crash_at is None else 2
        self.orchestrators = [Orchestrator(self, f"orchestrator-{number}") for number in range(count)]
        self.callers = Callers(self)
        self.operators = Operators(self)
        self.outsiders = Outsiders(self)
        self.pauses = Pauses(self)

    # ----------------------------------------------------------------------------------------------------- time

    def moment(self) -> datetime:
        """Now, as the store's clock shows it."""
        return EPOCH + timedelta(seconds=self.now)

    def after(self, seconds: float, do: Callable[..., None], *arguments: Any) -> None:
        """Let something happen later."""
        self._sequence += 1
        heapq.heappush(self._heap, (self.now + seconds, self._sequence, do, arguments))

    def at(self, moment: datetime, do: Callable[..., None], *arguments: Any) -> None:
        """Let something happen at a moment of the store's clock, not before."""
        self.after(max(0.0, (moment - EPOCH).total_seconds() - self.now) + 0.001, do, *arguments)

    def hold(self, do: Callable[..., None], *arguments: Any) -> None:
        """Let something wait in its queue until an orchestrator is there to take it."""
        self._held.append((do, arguments))

    def release(self) -> None:
        """An orchestrator is there again."""
        held, self._held = self._held, []
        for do, arguments in held:
            self.after(0.01, do, *arguments)

    # --------------------------------------------------------------------------------------------------- chance

    def chance(self, rate: float) -> bool:
        """Whether a fault of this rate strikes now."""
        return rate > 0.0 and self.random.random() < rate

    def boundary(self, place: str) -> None:
        """A place where an orchestrator may die. Raises Crash."""
        self.boundaries += 1
        if self.crash_at == self.boundaries or self.chance(self.faults.crash):
            self.marks[f"crash {place}"] += 1
            raise Crash(place)

    def trace(self, data: bytes) -> None:
        """Something observable happened: two runs of one seed must agree on all of it."""
        self._digest.update(data)

    def trace_hash(self) -> str:
        """Of everything that was observable."""
        return self._digest.hexdigest()

    # ------------------------------------------------------------------------------------------------------ run

    def run(self) -> None:
        """From the first start until everything is at rest. Raises Violation."""
        self.after(self.faults.heal_after_seconds, self._heal)
        self.broker.begin()
        self.callers.begin()
        self.operators.begin()
        self.outsiders.begin()
        for participant in self.participants.values():
            participant.begin()
        dead = self.drawn.regime is Regime.DEAD_SERVICE
        horizon = self.drawn.heal_after_seconds + (DEAD_HORIZON_SECONDS if dead else REST_WITHIN_SECONDS)
        while self._heap:
            when = self._heap[0][0]
            if when > horizon:
                break
            self.now, _, do, arguments = heapq.heappop(self._heap)
            self.happened += 1
            if self.happened > EVENTS_MAX:
                raise Violation("L1", f"{EVENTS_MAX} things happened and it is not at rest")
            do(*arguments)
        self.checkers.at_end()
        self.trace(b"end")

    def _heal(self) -> None:
        self.faults = healed(self.drawn)
        self.marks["healed"] += 1
        self.broker.heal()
        for participant in self.participants.values():
            participant.heal()
        for orchestrator in self.orchestrators:
            orchestrator.heal()

    def child_plan(self, name: str) -> Plan:
        """The definition of a sub-saga."""
        return self.workload.children.get(name) or child_plan(name, self.patience)

    def all_started(self) -> bool:
        """Every saga that callers ask for is there; children do not count."""
        return all(f"k:{number}" in self.store.keys for number in range(len(self.workload.sagas)))

    def alive(self) -> list[Orchestrator]:
        """Orchestrators that take deliveries now."""
        return [orchestrator for orchestrator in self.orchestrators if orchestrator.alive and not orchestrator.frozen]
