"""The loop that reads what stands in the store, for metrics: now and then, and in one process of all at a time."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from saga.core.errors import SagaError
from saga.core.metrics import catalogue as m
from saga.core.metrics.shape import Metric
from saga.core.metrics.tally import NONE, Labels, Tallies
from saga.engine.measures import age_seconds, queue_label, worded
from saga.engine.worker.pause import Pause
from saga.ports import BEGINNING, Clock, Feed, ParkedCount, Standing, Store

log = logging.getLogger("saga.engine")

CURSOR = "census"
"""A cursor that never moves: whoever holds it reads."""
READ_EVERY_SECONDS_MIN = 15.0
IDLE_TIMES = 20
"""However long it takes to read, so many times as long nothing is read."""
LEASE_SECONDS = 60.0
"""Beyond the next reading: then another process takes over."""
UNSETTLED_LOOKED_AT = 10_000

Shown = dict[Labels, float]


class Facts:
    """What was read last, and when by this process's own clock."""

    def __init__(self, standing: Standing, unsettled: Sequence[ParkedCount], began: float, ended: float) -> None:
        self.read_at = ended
        self.seconds = ended - began
        self.pause_seconds = max(READ_EVERY_SECONDS_MIN, self.seconds * IDLE_TIMES)
        self.open: Shown = {(each.name, each.status, each.wait_kind): float(each.count) for each in standing.open}
        self.waits: Shown = {(each.wait_kind,): age_seconds(each.since, standing.now) for each in standing.oldest}
        self.unsettled: Shown = {}
        self.unsettled_ages: Shown = {}
        for each in unsettled:
            labels = (queue_label(each.origin), worded(each.reason))
            age = age_seconds(each.oldest_at, standing.now)
            self.unsettled[labels] = self.unsettled.get(labels, 0.0) + each.count
            self.unsettled_ages[labels] = max(self.unsettled_ages.get(labels, 0.0), age)


class Census:
    """Reads facts of the store and shows them. Whatever fails is tried again, and disturbs nobody."""

    def __init__(self, store: Store, feed: Feed, clock: Clock, *, owner: str) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._owner = owner
        self._facts: Facts | None = None
        self._trouble = ""

    async def step(self) -> float:
        """Read, if nobody else does; for how many seconds to wait. Raises what the store raises."""
        position = await self._feed.take_cursor(CURSOR, self._owner, LEASE_SECONDS)
        if position is None:
            self._facts = None  # another process shows them
            return READ_EVERY_SECONDS_MIN
        began = self._clock.monotonic()
        standing = await self._store.standing()
        unsettled = await self._store.parked_counts(UNSETTLED_LOOKED_AT)
        facts = Facts(standing, unsettled, began, self._clock.monotonic())
        lease_seconds = facts.pause_seconds + LEASE_SECONDS
        kept = await self._feed.save_cursor(CURSOR, self._owner, position, lease_seconds)
        self._facts = facts if kept else None
        return facts.pause_seconds

    async def run(self, stopping: asyncio.Event) -> None:
        """Read until told to stop, then leave it to the others."""
        pause = Pause(stopping, READ_EVERY_SECONDS_MIN, LEASE_SECONDS)
        while not stopping.is_set():
            try:
                seconds = await self.step()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._failed(error)
                await pause.longer()
                continue
            self._trouble = ""
            pause.over()
            await pause.wait(seconds)
        await self._leave()

    def show(self, tallies: Tallies) -> None:
        """What was read last, in the process that read it; ages grow between two readings."""
        self._show(tallies, m.OPEN, lambda facts: facts.open)
        self._show(tallies, m.WAIT_OLDEST, lambda facts: self._aged(facts, facts.waits))
        self._show(tallies, m.UNSETTLED, lambda facts: facts.unsettled)
        self._show(tallies, m.UNSETTLED_OLDEST, lambda facts: self._aged(facts, facts.unsettled_ages))
        self._show(tallies, m.FACTS_AGE, lambda facts: self._aged(facts, {NONE: 0.0}))
        self._show(tallies, m.FACTS_DURATION, lambda facts: {NONE: facts.seconds})

    def _show(self, tallies: Tallies, metric: Metric, values: Callable[[Facts], Shown]) -> None:
        def shown() -> Shown:
            facts = self._facts
            # Once the lease is over somebody else may show them.
            if facts is None or self._clock.monotonic() > facts.read_at + facts.pause_seconds + LEASE_SECONDS:
                return {}
            return values(facts)

        tallies.show(metric, shown)

    def _aged(self, facts: Facts, ages: Shown) -> Shown:
        since = self._clock.monotonic() - facts.read_at
        return {labels: age + since for labels, age in ages.items()}

    def _failed(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, SagaError) else type(error).__name__
        if reason != self._trouble:  # an outage is one line, not one for each try
            log.warning("the facts of the store cannot be read now", extra={"reason": reason})
        self._trouble = reason

    async def _leave(self) -> None:
        held, self._facts = self._facts is not None, None
        if not held:
            return
        try:
            await self._feed.save_cursor(CURSOR, self._owner, BEGINNING, 0)
        except Exception as error:  # noqa: BLE001 - the lease ends by itself
            log.warning("a cursor was not given up", extra={"follower": CURSOR, "reason": type(error).__name__})
